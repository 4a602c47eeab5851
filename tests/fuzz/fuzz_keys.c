/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents that carry keys, the config of a repository and the roster,
 * which is signed here. Whatever is refused is refused with a sentence.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/sign.h"
#include "libbackup/repository/fields.h"
#include "libbackup/repository/roster.h"
#include "tests/fuzz/fuzz.h"

#define CONTEXT "libbackup roster v1"

static void
is_told(int rc, const struct bkp_error *err)
{
	require(rc == 0 || (err->code != BKP_OK && err->message[0] != '\0'));
}

static void
try_documents(const uint8_t *data, size_t size)
{
	struct bkp_repository_config config;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_key_ring ring = BKP_KEY_RING_INIT;
	struct bkp_fields fields;

	is_told(bkp_repository_config_decode(data, size, &config, &err), &err);
	is_told(bkp_admin_key_decode(data, size, &ring, &err), &err);
	bkp_key_ring_wipe(&ring);
	ring = (struct bkp_key_ring)BKP_KEY_RING_INIT;
	is_told(bkp_hosts_key_decode(data, size, &ring, &err), &err);
	bkp_key_ring_wipe(&ring);
	(void)bkp_fields_parse((const char *)data, size, &fields);
}

/* The key of a host, which lies in a file. */
static void
try_host_key(const uint8_t *data, size_t size)
{
	struct bkp_key_ring ring = BKP_KEY_RING_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	char path[32];

	require(fd >= 0 && fchmod(fd, 0600) == 0);
	require(write(fd, data, size) == (ssize_t)size);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	is_told(bkp_host_key_read(path, &ring, &err), &err);
	bkp_key_ring_wipe(&ring);
	(void)close(fd);
}

static void
try_identity(const uint8_t *data, size_t size)
{
	struct fmt_buf text = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_age_identity identity;

	require(fmt_buf_append(&text, data, size) == FMT_OK);
	is_told(bkp_identity_text_parse(&text, &identity, &err), &err);
	fmt_buf_free(&text);
}

static void
try_roster(const uint8_t *data, size_t size)
{
	struct bkp_key_ring ring = BKP_KEY_RING_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_roster roster;

	memset(ring.repository, '1', sizeof(ring.repository) - 1);
	require(fmt_sign_public(ring.admin_seed, ring.admin_public) == FMT_OK);
	sign_line(ring.admin_seed, CONTEXT, data, size, &text);
	memset(&roster, 0, sizeof(roster));
	if (bkp_roster_decode(text.data, text.len, &ring, &roster, &err) == 0)
		bkp_roster_free(&roster);
	else
		is_told(-1, &err);
	fmt_buf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	try_documents(data, size);
	try_host_key(data, size);
	try_identity(data, size);
	try_roster(data, size);
	return 0;
}
