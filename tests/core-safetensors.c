/*
 * SPDX-License-Identifier: ISC
 *
 * The safetensors reader by itself, over files made here byte by byte: what is in them is found, in one file
 * and in shards; what is wrong with them is told in a line that names it.
 */
#include "libcore/safetensors.h"
#include "tests/folder.h"
#include "tests/tap.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];
static struct llm_err err;

/* A file of this header and so many bytes of data, which count from 1. */
static void
write_tensors(const char *name, const char *header, size_t n_data)
{
	unsigned char all[4096] = {0};
	size_t n = strlen(header);
	for (size_t i = 0; i < 8; i++)
		all[i] = (unsigned char)(n >> 8 * i);
	memcpy(all + 8, header, n);
	for (size_t i = 0; i < n_data; i++)
		all[8 + n + i] = (unsigned char)(i + 1);
	test_folder_write(test_folder_path(name), all, 8 + n + n_data);
}

static void
test_one(void)
{
	struct llm_safetensors *s = NULL;
	write_tensors("model.safetensors",
	    "{\"__metadata__\":{\"format\":\"pt\"},"
	    "\"w\":{\"dtype\":\"F16\",\"shape\":[3,2],\"data_offsets\":[4,16]},"
	    "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
	    "\"ids\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[16,24]},"
	    "\"none\":{\"dtype\":\"BF16\",\"shape\":[0,7],\"data_offsets\":[24,24]}}  ",
	    24);
	tap_ok(llm_safetensors_open(&s, path, &err) == 0, "a file is opened");
	tap_ok(
	    llm_safetensors_n(s) == 4, "it has its tensors, without what is said about them");
	bool sorted = true;
	for (size_t i = 1; i < llm_safetensors_n(s); i++)
		sorted = sorted && strcmp(llm_safetensors_at(s, i - 1)->name,
				       llm_safetensors_at(s, i)->name) < 0;
	tap_ok(sorted, "sorted by name");
	const struct llm_safetensors_tensor *w = llm_safetensors_find(s, "w");
	tap_ok(w != NULL && w->type == LLM_DTYPE_F16 && w->n_dim == 2 && w->shape[0] == 3 &&
		   w->shape[1] == 2 && w->shape[2] == 1 && w->n == 6 && w->n_bytes == 12 &&
		   w->data[0] == 5 && w->data[11] == 16,
	    "a matrix has its type, shape and bytes");
	const struct llm_safetensors_tensor *ids = llm_safetensors_find(s, "ids");
	tap_ok(ids != NULL && ids->type == LLM_DTYPE_MAX && strcmp(ids->dtype, "I64") == 0 &&
		   ids->n_dim == 0 && ids->n == 1 && ids->data[0] == 17,
	    "a scalar of integers is there too");
	const struct llm_safetensors_tensor *none = llm_safetensors_find(s, "none");
	tap_ok(none != NULL && none->n == 0 && none->n_bytes == 0, "and a tensor of nothing");
	tap_ok(llm_safetensors_find(s, "__metadata__") == NULL &&
		   llm_safetensors_find(s, "x") == NULL,
	    "what is not there is not found");
	float y[2] = {0};
	tap_ok(llm_safetensors_f32(y, w, 4, 2, &err) == 0 &&
		   (double)y[0] == (double)llm_f16_to_f32(0x0E0D) &&
		   (double)y[1] == (double)llm_f16_to_f32(0x100F),
	    "halves become floats, from the middle on");
	tap_ok(llm_safetensors_f32(y, ids, 0, 1, &err) == LLM_EUNSUPPORTED &&
		   strstr(err.msg, "ids") != NULL && strstr(err.msg, "I64") != NULL,
	    "integers do not, by name: %s", err.msg);
	tap_ok(
	    llm_safetensors_covers(s, w->data) != NULL && llm_safetensors_covers(s, &w) == NULL,
	    "an address says which file it is of");
	llm_safetensors_close(s);
	unlink(test_folder_path("model.safetensors"));
}

static void
test_shards(void)
{
	struct llm_safetensors *s = NULL;
	write_tensors("1.safetensors",
	    "{\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4);
	write_tensors("2.safetensors",
	    "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
	static const char index[] =
	    "{\"weight_map\":{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\"}}";
	test_folder_write(
	    test_folder_path("model.safetensors.index.json"), index, sizeof index - 1);
	tap_ok(llm_safetensors_open(&s, test_folder, &err) == 0 && llm_safetensors_n(s) == 2 &&
		   strcmp(llm_safetensors_at(s, 0)->name, "a") == 0,
	    "shards are one model: %s", err.msg);
	const struct llm_safetensors_tensor *b = llm_safetensors_find(s, "b");
	float y[2] = {0};
	unsigned bits;
	bool good = b != NULL && llm_safetensors_f32(y, b, 0, 2, &err) == 0;
	memcpy(&bits, &y[1], sizeof bits);
	tap_ok(good && bits == 0x04030000, "brain floats are floats cut short");
	tap_ok(b != NULL && strstr(llm_safetensors_covers(s, b->data), "1.safetensors") != NULL,
	    "each knows its shard");
	llm_safetensors_close(s);
	static const char swapped[] =
	    "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}";
	test_folder_write(
	    test_folder_path("model.safetensors.index.json"), swapped, sizeof swapped - 1);
	tap_ok(llm_safetensors_open(&s, test_folder, &err) == LLM_EDATA &&
		   strstr(err.msg, "does not hold it") != NULL,
	    "an index that is wrong about them is refused: %s", err.msg);
	static const char missing[] = "{\"weight_map\":{\"a\":\"3.safetensors\"}}";
	test_folder_write(
	    test_folder_path("model.safetensors.index.json"), missing, sizeof missing - 1);
	tap_ok(llm_safetensors_open(&s, test_folder, &err) == LLM_ENOINPUT &&
		   strstr(err.msg, "3.safetensors") != NULL,
	    "a shard that is missing is named: %s", err.msg);
	unlink(test_folder_path("1.safetensors"));
	unlink(test_folder_path("2.safetensors"));
	unlink(test_folder_path("model.safetensors.index.json"));
}

/* Headers of 16 bytes of data, and what the refusal has to name. */
static void
test_refused(void)
{
#define T(dtype, shape, offsets) \
	"{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"
	static const struct {
		const char *header, *names;
	} bad[] = {
	    {"{}", "belongs to none"},
	    {"[]", "no JSON object"},
	    {"{\"a\":" T("\"F32\"", "[4]", "[0,16]") "}}", "header"},
	    {"{\"a\":" T("\"F32\"", "[4]", "[0,16]") ",\"a\":" T(
		 "\"F32\"", "[4]", "[0,16]") "}",
		"header"},
	    {"{\"\":" T("\"F32\"", "[4]", "[0,16]") "}", "name"},
	    {"{\"a\\u0001\":" T("\"F32\"", "[4]", "[0,16]") "}", "control"},
	    {"{\"a\":" T("\"F4\"", "[4]", "[0,16]") "}", "F4"},
	    {"{\"a\":" T("4", "[4]", "[0,16]") "}", "dtype"},
	    {"{\"a\":" T("\"F32\"", "4", "[0,16]") "}", "shape"},
	    {"{\"a\":" T("\"F32\"", "[-4]", "[0,16]") "}", "shape"},
	    {"{\"a\":" T("\"F32\"", "[4.0]", "[0,16]") "}", "shape"},
	    {"{\"a\":" T("\"F32\"", "[1,1,1,1,1,1,1,1,4]", "[0,16]") "}", "shape"},
	    {"{\"a\":" T("\"F32\"", "[3]", "[0,16]") "}", "make 12"},
	    {"{\"a\":" T("\"F16\"", "[4]", "[0,16]") "}", "make 8"},
	    {"{\"a\":" T("\"F32\"", "[2147483648,4294967296]", "[0,16]") "}", "counted"},
	    {"{\"a\":" T("\"F32\"", "[4]", "[0,16,32]") "}", "data_offsets"},
	    {"{\"a\":" T("\"F32\"", "[4]", "[16,0]") "}", "data_offsets"},
	    {"{\"a\":" T("\"F32\"", "[4]", "[4,20]") "}", "byte 20 of 16"},
	    {"{\"a\":" T("\"F32\"", "[3]", "[0,12]") "}", "belongs to none"},
	    {"{\"a\":" T("\"F32\"", "[3]", "[4,16]") "}", "hole"},
	    {"{\"a\":" T("\"F32\"", "[4]", "[0,16]") ",\"b\":" T(
		 "\"F32\"", "[1]", "[12,16]") "}",
		"overlap"},
	    {"{\"__metadata__\":7,\"a\":" T("\"F32\"", "[4]", "[0,16]") "}", "__metadata__"},
	};
#undef T
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct llm_safetensors *s = NULL;
		write_tensors("model.safetensors", bad[i].header, 16);
		int rc = llm_safetensors_open(&s, path, &err);
		tap_ok((rc == LLM_EDATA || rc == LLM_EUNSUPPORTED) &&
			   strstr(err.msg, bad[i].names) != NULL &&
			   strchr(err.msg, '\n') == NULL,
		    "refused: %.120s", rc < 0 ? err.msg : bad[i].header);
		if (rc == 0)
			llm_safetensors_close(s);
	}
	/* Cut at every byte, no file is taken and none is read past its end. */
	static const char header[] =
	    "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}";
	int taken = 0;
	for (size_t n = 0; n < 8 + sizeof header - 1 + 16; n++) {
		struct llm_safetensors *s = NULL;
		write_tensors("model.safetensors", header, 16);
		if (truncate(path, (off_t)n) == 0 &&
		    llm_safetensors_open(&s, path, &err) == 0) {
			taken++;
			llm_safetensors_close(s);
		}
	}
	tap_ok(taken == 0, "cut short anywhere it is refused");
	unlink(test_folder_path("model.safetensors"));
	struct llm_safetensors *s = NULL;
	tap_ok(
	    llm_safetensors_open(&s, path, &err) == LLM_ENOINPUT, "a file that is not there");
	tap_ok(
	    llm_safetensors_open(&s, test_folder, &err) == LLM_ENOINPUT, "a directory of none");
}

int
main(void)
{
	test_folder_new();
	snprintf(path, sizeof path, "%s/model.safetensors", test_folder);
	test_one();
	test_shards();
	test_refused();
	return test_folder_remove() ? tap_done() : 1;
}
