/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/failing_alloc.h"

#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local bool is_on, has_failed;
static _Thread_local int left;

void
failing_alloc_at(int n)
{
	is_on = true;
	has_failed = false;
	left = n;
}

bool
failing_alloc_end(void)
{
	is_on = false;
	return has_failed;
}

/* What is left of all threads' allocations; below 0 one has failed. */
#define NEVER LLONG_MAX
static atomic_llong left_of_all = NEVER;

void
failing_alloc_once_at(unsigned n)
{
	atomic_store(&left_of_all, (long long)n);
}

bool
failing_alloc_once_end(void)
{
	return atomic_exchange(&left_of_all, NEVER) < 0;
}

static bool
must_fail_once(void)
{
	if (atomic_load_explicit(&left_of_all, memory_order_relaxed) == NEVER)
		return false;
	return atomic_fetch_sub(&left_of_all, 1) == 0;
}

static bool
must_fail(void)
{
	if (must_fail_once())
		return true;
	if (!is_on)
		return false;
	if (left-- > 0)
		return false;
	left = 0;
	has_failed = true;
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);

void *
__wrap_malloc(size_t size)
{
	return must_fail() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return must_fail() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *memory, size_t size)
{
	return must_fail() ? NULL : __real_realloc(memory, size);
}

char *
__wrap_strdup(const char *text)
{
	return must_fail() ? NULL : __real_strdup(text);
}

char *
__wrap_strndup(const char *text, size_t len)
{
	return must_fail() ? NULL : __real_strndup(text, len);
}
