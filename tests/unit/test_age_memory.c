/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of an age file, ours and OpenSSL's, fails once. The linker
 * gives this program malloc and its kin by these names (--wrap).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/crypto.h>

#include "formats/age.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

/* Allocations until one fails; negative: none does. */
static long until_failure = -1;

static bool
fails_now(void)
{
	return until_failure >= 0 && until_failure-- == 0;
}

void *
__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return fails_now() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return fails_now() ? NULL : __real_realloc(old, size);
}

char *
__wrap_strdup(const char *text)
{
	return fails_now() ? NULL : __real_strdup(text);
}

static void *
openssl_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return __wrap_malloc(size);
}

static void *
openssl_realloc(void *old, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return __wrap_realloc(old, size);
}

static void
openssl_free(void *data, const char *file, int line)
{
	(void)file;
	(void)line;
	free(data);
}

static const char plain[] = "hello";
static struct fmt_age_identity ring[2] = {
    {.kind = FMT_AGE_SCRYPT, .passphrase = "horse"}};
static struct fmt_age_recipient recipient;

static bool
is_resource_trouble(enum fmt_status status)
{
	return status == FMT_NOMEM || status == FMT_CRYPTO;
}

static void
sealing_survives_every_allocation_that_fails(void **state)
{
	long n = 0;
	bool was_reached = true;

	(void)state;
	for (; was_reached && n < 10000; n++) {
		struct fmt_buf file = FMT_BUF_INIT, opened = FMT_BUF_INIT;
		enum fmt_status status;

		until_failure = n;
		status = fmt_age_seal(&recipient, 1, plain, 5, &file);
		was_reached = until_failure < 0;
		until_failure = -1;
		if (status == FMT_OK) {
			assert_int_equal(
			    fmt_age_open(ring, 2, file.data, file.len, &opened),
			    FMT_OK);
			assert_string_equal(fmt_buf_text(&opened), plain);
		} else {
			assert_true(is_resource_trouble(status));
			assert_int_equal(file.len, 0);
		}
		fmt_buf_free(&file);
		fmt_buf_free(&opened);
	}
	assert_in_range(n, 10, 9999);
}

static void
opening_survives_every_allocation_that_fails(void **state)
{
	struct fmt_buf file = FMT_BUF_INIT;
	bool was_reached = true;
	long n = 0;

	(void)state;
	assert_int_equal(fmt_age_seal(&recipient, 1, plain, 5, &file), FMT_OK);
	for (; was_reached && n < 10000; n++) {
		struct fmt_buf opened = FMT_BUF_INIT;
		enum fmt_status status;

		until_failure = n;
		status = fmt_age_open(ring, 2, file.data, file.len, &opened);
		was_reached = until_failure < 0;
		until_failure = -1;
		if (status == FMT_OK)
			assert_string_equal(fmt_buf_text(&opened), plain);
		else
			assert_true(is_resource_trouble(status));
		fmt_buf_free(&opened);
	}
	assert_in_range(n, 10, 9999);
	fmt_buf_free(&file);
}

/* Before OpenSSL allocates anything. */
static int
take_over_memory(void **state)
{
	(void)state;
	if (CRYPTO_set_mem_functions(
		openssl_malloc, openssl_realloc, openssl_free) != 1)
		return -1;
	return fmt_age_identity_new(&ring[1]) != FMT_OK ||
	       fmt_age_identity_recipient(&ring[1], &recipient) != FMT_OK;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sealing_survives_every_allocation_that_fails),
	    cmocka_unit_test(opening_survives_every_allocation_that_fails),
	};

	return cmocka_run_group_tests_name(
	    "age_memory", tests, take_over_memory, NULL);
}
