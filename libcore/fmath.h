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
 * Double precision, within 2 ulp, with the special values of C's Annex F.
 * llm_sincos: |x| <= 2^30; beyond, both are NaN, so that a wrong argument passes for no angle.
 * llm_pow: a >= 0; NaN for a negative a, whatever b is.
 */
double llm_exp(double x);
double llm_log(double x);
void llm_sincos(double *s, double *c, double x);
double llm_pow(double a, double b);

#endif
