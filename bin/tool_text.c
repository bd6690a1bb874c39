/*
 * SPDX-License-Identifier: ISC
 *
 * Text in records: JSON strings and TSV fields, of bytes that need not be UTF-8.
 */
#include "bin/tool.h"

#include <string.h>

/*
 * The well-formed UTF-8 character at s[0..n), n > 0: its length; or minus the length of what stands
 * there instead, the longest beginning of a character or one byte (Unicode 3.9, "maximal subpart").
 */
static int
character(const unsigned char *s, size_t n)
{
	unsigned c = s[0], low = 0x80, high = 0xBF;
	int len = c < 0x80                ? 1
		  : c >= 0xC2 && c < 0xE0 ? 2
		  : c >= 0xE0 && c < 0xF0 ? 3
		  : c >= 0xF0 && c < 0xF5 ? 4
					  : 0;
	if (len == 0)
		return -1;
	if (c == 0xE0)
		low = 0xA0;
	else if (c == 0xED)
		high = 0x9F;
	else if (c == 0xF0)
		low = 0x90;
	else if (c == 0xF4)
		high = 0x8F;
	for (int i = 1; i < len; i++) {
		if ((size_t)i == n || s[i] < low || s[i] > high)
			return -i;
		low = 0x80;
		high = 0xBF;
	}
	return len;
}

static void
json_character(const unsigned char *s, int len)
{
	static const char escaped[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
	const char *e = s[0] != '\0' ? strchr(escaped, s[0]) : NULL;
	if (e != NULL)
		tool_printf("\\%c", names[e - escaped]);
	else if (s[0] < 0x20 || s[0] == 0x7F)
		tool_printf("\\u%04x", s[0]);
	else
		tool_write(s, (size_t)len);
}

bool
tool_json(const char *bytes, size_t n)
{
	const unsigned char *s = (const unsigned char *)bytes;
	bool whole = true;
	tool_write("\"", 1);
	for (size_t i = 0; i < n;) {
		int len = character(s + i, n - i);
		if (len > 0) {
			json_character(s + i, len);
		} else {
			tool_write("\xEF\xBF\xBD", 3); /* U+FFFD */
			whole = false;
			len = -len;
		}
		i += (size_t)len;
	}
	tool_write("\"", 1);
	return whole;
}

void
tool_json_text(const char *key, const char *bytes, size_t n)
{
	tool_printf("\"%s\":", key);
	if (tool_json(bytes, n))
		return;
	tool_printf(",\"bytes\":[");
	for (size_t i = 0; i < n; i++)
		tool_printf("%s%d", i > 0 ? "," : "", (unsigned char)bytes[i]);
	tool_printf("]");
}

void
tool_tsv(const char *bytes, size_t n)
{
	static const char escaped[] = "\t\n\r\\", names[] = "tnr\\";
	const unsigned char *s = (const unsigned char *)bytes;
	for (size_t i = 0; i < n;) {
		int len = character(s + i, n - i);
		const char *e = s[i] != '\0' ? strchr(escaped, s[i]) : NULL;
		if (e != NULL)
			tool_printf("\\%c", names[e - escaped]);
		else if (len > 0)
			tool_write(s + i, (size_t)len);
		else
			for (int k = 0; k < -len; k++)
				tool_printf("\\x%02X", s[i + (size_t)k]);
		i += (size_t)(len > 0 ? len : -len);
	}
}
