/*
 * SPDX-License-Identifier: ISC
 *
 * Loaded before the C library into a program of llama.cpp whose AMX code crashes (as that does which some
 * compilers make of it): its request to use the tiles is refused, so that it takes its other kernels.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

long syscall(long number, ...);

enum { REQUEST_XSTATE = 0x1023 };

long
syscall(long number, ...)
{
	va_list ap;
	long a[6], result;
	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_arch_prctl && a[0] == REQUEST_XSTATE) {
		errno = EINVAL;
		return -1;
	}
	register long r10 __asm__("r10") = a[3];
	register long r8 __asm__("r8") = a[4];
	register long r9 __asm__("r9") = a[5];
	__asm__ volatile(
	    "syscall"
	    : "=a"(result)
	    : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
	    : "rcx", "r11", "memory");
	if (result < 0 && result > -4096) {
		errno = (int)-result;
		return -1;
	}
	return result;
}
