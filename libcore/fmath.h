/*
 * SPDX-License-Identifier: ISC
 *
 * Transcendental functions of our own: + - * / fma rint and bit operations only, so that results
 * do not depend on libm's choice of a variant.  The scalar text specifies the vector one.
 */
#ifndef LLM_FMATH_H
#define LLM_FMATH_H

/*
 * llm_expf - e^x in f32, at most 0.895 ulp over all floats.
 *	n = rint(x * log2 e), r = x - n * 355/512 - n * (ln 2 - 355/512), both by fma;
 *	Cephes' polynomial of degree 5 in r, and then 1 + r + r^2 p(r), all by fma; times 2^n.
 * 0 below -87.33654 (where the result would be denormal), infinity above 88.72283; exp(-inf) = 0,
 * exp(0) = 1, exp(NaN) = NaN.
 */
float llm_expf(float x);

/*
 * llm_erff - erf(x) in f32, within 1.8e-7 and 4 ulp of the true value; odd, and +-1 from 3.92 on.
 *	z = x held within +-3.92, u = fma(z * z, 2 / 3.92^2, -1), our minimax polynomial of degree 15
 *	in u by fma, times z.  erf(NaN) = NaN.
 * LLM_ERF_*: the polynomial, highest power first, for the vector text.
 */
float llm_erff(float x);
#define LLM_ERF_END 3.92f
#define LLM_ERF_SCALE 0x1.0a8e3cp-3f /* 2 / 3.92^2 */
/* clang-format off */
#define LLM_ERF_TERMS(X) \
	X(-0x1.ba747ep-11f) X(0x1.13167ep-9f) X(-0x1.6d94bp-10f) X(0x1.f75034p-10f) \
	X(-0x1.f6095cp-8f) X(0x1.d1a188p-7f) X(-0x1.479966p-6f) X(0x1.e690aep-6f) \
	X(-0x1.63d5acp-5f) X(0x1.de6146p-5f) X(-0x1.2f2f68p-4f) X(0x1.7315dp-4f) \
	X(-0x1.bf32b8p-4f) X(0x1.129aecp-3f) X(-0x1.70dccap-3f) X(0x1.7164fep-2f)
/* clang-format on */

/*
 * Double precision, within 2 ulp, with the special values of C's Annex F.
 * llm_sincos: |x| <= 2^30; beyond, both are NaN, so that a wrong argument passes for no angle.
 * llm_pow: a >= 0; NaN for a negative a, whatever b is.
 */
double llm_exp(double x);
double llm_log(double x);
void llm_sincos(double *s, double *c, double x);
double llm_pow(double a, double b);

#endif
