/*
 * SPDX-License-Identifier: ISC
 *
 * Which characters WordPiece's normaliser drops, spaces out or cuts at; see wordpiece.h.  The vocabularies
 * were trained, and are published, with the categories of an old Unicode: what has got its category since
 * is a plain character to them, so that a newer table would give other ids.
 */
#include "tokenize/utf8.h"
#include "tokenize/wordpiece.h"

struct range {
	uint32_t first, last;
};

static const struct range chinese[] = {{0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xF900, 0xFAFF},
    {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF},
    {0x2F800, 0x2FA1F}};

/* Marks, hidden characters and punctuation of today that were none of these then. */
static const struct range later[] = {
    {0x61D, 0x61D},
    {0x7FD, 0x7FD},
    {0x890, 0x891},
    {0x898, 0x89F},
    {0x8CA, 0x8E2},
    {0x9FD, 0x9FE},
    {0xA76, 0xA76},
    {0xAFA, 0xAFF},
    {0xB55, 0xB55},
    {0xC04, 0xC04},
    {0xC3C, 0xC3C},
    {0xC77, 0xC77},
    {0xC84, 0xC84},
    {0xD00, 0xD00},
    {0xD3B, 0xD3C},
    {0xD81, 0xD81},
    {0xEBA, 0xEBA},
    {0xECE, 0xECE},
    {0x180F, 0x180F},
    {0x1885, 0x1886},
    {0x1ABF, 0x1ACE},
    {0x1B7D, 0x1B7E},
    {0x1DF6, 0x1DFB},
    {0x2E43, 0x2E4F},
    {0x2E52, 0x2E5D},
    {0xA82C, 0xA82C},
    {0xA8C5, 0xA8C5},
    {0xA8FF, 0xA8FF},
    {0xA9BD, 0xA9BD},
    {0x10D24, 0x10D27},
    {0x10EAB, 0x10EAD},
    {0x10EFD, 0x10EFF},
    {0x10F46, 0x10F50},
    {0x10F55, 0x10F59},
    {0x10F82, 0x10F89},
    {0x11070, 0x11070},
    {0x11073, 0x11074},
    {0x110C2, 0x110C2},
    {0x110CD, 0x110CD},
    {0x111CF, 0x111CF},
    {0x1123E, 0x1123E},
    {0x11241, 0x11241},
    {0x1133B, 0x1133B},
    {0x11438, 0x1143F},
    {0x11442, 0x11444},
    {0x11446, 0x11446},
    {0x1144B, 0x1144F},
    {0x1145A, 0x1145B},
    {0x1145D, 0x1145E},
    {0x11660, 0x1166C},
    {0x116B9, 0x116B9},
    {0x1182F, 0x11837},
    {0x11839, 0x1183B},
    {0x1193B, 0x1193C},
    {0x1193E, 0x1193E},
    {0x11943, 0x11946},
    {0x119D4, 0x119D7},
    {0x119DA, 0x119DB},
    {0x119E0, 0x119E0},
    {0x119E2, 0x119E2},
    {0x11A01, 0x11A0A},
    {0x11A33, 0x11A38},
    {0x11A3B, 0x11A47},
    {0x11A51, 0x11A56},
    {0x11A59, 0x11A5B},
    {0x11A8A, 0x11A96},
    {0x11A98, 0x11A9C},
    {0x11A9E, 0x11AA2},
    {0x11B00, 0x11B09},
    {0x11C30, 0x11C36},
    {0x11C38, 0x11C3D},
    {0x11C3F, 0x11C3F},
    {0x11C41, 0x11C45},
    {0x11C70, 0x11C71},
    {0x11C92, 0x11CA7},
    {0x11CAA, 0x11CB0},
    {0x11CB2, 0x11CB3},
    {0x11CB5, 0x11CB6},
    {0x11D31, 0x11D36},
    {0x11D3A, 0x11D3A},
    {0x11D3C, 0x11D3D},
    {0x11D3F, 0x11D45},
    {0x11D47, 0x11D47},
    {0x11D90, 0x11D91},
    {0x11D95, 0x11D95},
    {0x11D97, 0x11D97},
    {0x11EF3, 0x11EF4},
    {0x11EF7, 0x11EF8},
    {0x11F00, 0x11F01},
    {0x11F36, 0x11F3A},
    {0x11F40, 0x11F40},
    {0x11F42, 0x11F4F},
    {0x11FFF, 0x11FFF},
    {0x12FF1, 0x12FF2},
    {0x13430, 0x13440},
    {0x13447, 0x13455},
    {0x16E97, 0x16E9A},
    {0x16F4F, 0x16F4F},
    {0x16FE2, 0x16FE2},
    {0x16FE4, 0x16FE4},
    {0x1CF00, 0x1CF2D},
    {0x1CF30, 0x1CF46},
    {0x1E000, 0x1E006},
    {0x1E008, 0x1E018},
    {0x1E01B, 0x1E021},
    {0x1E023, 0x1E024},
    {0x1E026, 0x1E02A},
    {0x1E08F, 0x1E08F},
    {0x1E130, 0x1E136},
    {0x1E2AE, 0x1E2AE},
    {0x1E2EC, 0x1E2EF},
    {0x1E4EC, 0x1E4EF},
    {0x1E944, 0x1E94A},
    {0x1E95E, 0x1E95F},
};

/* Ranges in rising order. */
static bool
within(const struct range *r, int n, uint32_t cp)
{
	int low = 0, high = n;
	while (low < high) {
		int middle = (low + high) / 2;
		if (cp > r[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && cp >= r[low].first;
}

static bool
is_later(uint32_t cp)
{
	return cp >= later[0].first && within(later, sizeof later / sizeof later[0], cp);
}

enum llm_wordpiece_class
llm_wordpiece_clean(uint32_t cp)
{
	if (cp == '\t' || cp == '\n' || cp == '\r' || cp == ' ')
		return LLM_WORDPIECE_SPACE;
	if (cp == 0 || cp == 0xFFFD || cp > 0x10FFFF)
		return LLM_WORDPIECE_DROP;
	if (cp >= chinese[0].first && within(chinese, sizeof chinese / sizeof chinese[0], cp))
		return LLM_WORDPIECE_ALONE;
	switch (llm_utf8_kind(cp)) {
	case LLM_UTF8_KIND_SPACE:
		return LLM_WORDPIECE_SPACE;
	case LLM_UTF8_KIND_HIDDEN:
		return is_later(cp) ? LLM_WORDPIECE_KEEP : LLM_WORDPIECE_DROP;
	default:
		return LLM_WORDPIECE_KEEP;
	}
}

enum llm_wordpiece_class
llm_wordpiece_split(uint32_t cp)
{
	if (cp < 0x80)
		return (cp >= '!' && cp <= '/') || (cp >= ':' && cp <= '@') ||
			       (cp >= '[' && cp <= '`') || (cp >= '{' && cp <= '~')
			   ? LLM_WORDPIECE_ALONE
			   : LLM_WORDPIECE_KEEP;
	/* Three that have changed from one of these kinds to another, or to none. */
	if (cp == 0x166D || cp == 0x111C9)
		return LLM_WORDPIECE_ALONE;
	if (cp == 0x1734)
		return LLM_WORDPIECE_DROP;
	switch (llm_utf8_kind(cp)) {
	case LLM_UTF8_KIND_MARK:
		return is_later(cp) ? LLM_WORDPIECE_KEEP : LLM_WORDPIECE_DROP;
	case LLM_UTF8_KIND_PUNCT:
		return is_later(cp) ? LLM_WORDPIECE_KEEP : LLM_WORDPIECE_ALONE;
	default:
		return LLM_WORDPIECE_KEEP;
	}
}
