/*
 * SPDX-License-Identifier: ISC
 *
 * mkdequant TYPE: blocks of a weight type on stdin, their values as little-endian f32 on stdout; for
 * the comparison with an independent reader.  mkdequant names: a number and a name a line.
 */
#include "libcore/dtype.h"

#include <stdio.h>
#include <string.h>

static int
print_names(void)
{
	for (uint32_t t = 0; t < 64; t++)
		if (llm_dtype_name(t) != NULL)
			printf("%u %s %d %d\n", (unsigned)t, llm_dtype_name(t),
			    llm_dtype_info(t) != NULL ? llm_dtype_info(t)->block : 0,
			    llm_dtype_info(t) != NULL ? llm_dtype_info(t)->block_bytes : 0);
	return 0;
}

int
main(int argc, char **argv)
{
	unsigned char block[256];
	float y[256];
	uint32_t t = 0;
	if (argc == 2 && strcmp(argv[1], "names") == 0)
		return print_names();
	while (t < 64 && (argc != 2 || llm_dtype_info(t) == NULL ||
			     strcmp(llm_dtype_name(t), argv[1]) != 0))
		t++;
	if (t == 64) {
		fprintf(stderr, "usage: mkdequant TYPE <blocks >floats\n");
		return 64;
	}
	const struct llm_dtype_info *info = llm_dtype_info(t);
	while (fread(block, (size_t)info->block_bytes, 1, stdin) == 1) {
		info->to_f32(y, block, info->block);
		if (fwrite(y, sizeof *y, (size_t)info->block, stdout) != (size_t)info->block)
			return 74;
	}
	return fflush(stdout) == 0 ? 0 : 74;
}
