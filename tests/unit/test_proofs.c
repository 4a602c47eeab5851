/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs in a repository and on this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "libbackup/repository/proofs.h"
#include "tests/unit/repository_fixture.h"

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SNAPSHOT_A A32 A32
#define SNAPSHOT_B B32 B32

static char host[] = "proof-host", everything[] = "", a_part[] = "files/x";
static char state_folder[] = "/tmp/bkp-proofs-XXXXXX";

static struct fmt_proof
proof_of(const char *snapshot, int64_t time_us, bool is_proven)
{
	struct fmt_proof proof = {.time_us = time_us,
	    .host = host,
	    .path = everything,
	    .is_proven = is_proven,
	    .level = FMT_PROOF_RESTORED,
	    .passed = 1,
	    .failed = is_proven ? 0 : 1};

	memcpy(proof.snapshot, snapshot, sizeof(proof.snapshot));
	return proof;
}

static bool
put(struct bkp_repository *repository, struct fmt_proof proof)
{
	struct bkp_error err = BKP_ERROR_INIT;
	bool is_local = true;

	if (bkp_proof_put(repository, &proof, &is_local, &err) < 0)
		fail_msg("%s", err.message);
	return is_local;
}

static struct bkp_proofs
load(struct bkp_repository *repository)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_proofs proofs = BKP_PROOFS_INIT;

	if (bkp_proofs_load(repository, &proofs, &err) < 0)
		fail_msg("%s", err.message);
	return proofs;
}

static void
expect(struct bkp_repository *repository, const char *snapshot,
    int64_t proven_us, int64_t failed_us, size_t count)
{
	struct bkp_proofs proofs = load(repository);
	int64_t proven, failed;

	bkp_proofs_of(&proofs, snapshot, &proven, &failed);
	assert_int_equal(proven, proven_us);
	assert_int_equal(failed, failed_us);
	assert_int_equal(proofs.count, count);
	bkp_proofs_free(&proofs);
}

static void
a_host_sees_what_an_administrator_proved(void **state)
{
	struct bkp_repository *admin = fixture_open_admin(*state);
	struct bkp_repository *host_side = fixture_open_host(*state);

	assert_false(put(admin, proof_of(SNAPSHOT_A, 100, true)));
	expect(host_side, SNAPSHOT_A, 100, 0, 1);
	expect(host_side, SNAPSHOT_B, 0, 0, 1);
	assert_false(put(admin, proof_of(SNAPSHOT_A, 200, false)));
	expect(host_side, SNAPSHOT_A, 100, 200, 2);
	bkp_repository_close(admin);
	bkp_repository_close(host_side);
}

static void
only_the_newest_of_a_kind_is_kept(void **state)
{
	struct bkp_repository *admin = fixture_open_admin(*state);

	(void)put(admin, proof_of(SNAPSHOT_A, 100, true));
	(void)put(admin, proof_of(SNAPSHOT_B, 110, true));
	(void)put(admin, proof_of(SNAPSHOT_A, 120, false));
	(void)put(admin, proof_of(SNAPSHOT_A, 130, true));
	expect(admin, SNAPSHOT_A, 130, 120, 3);
	bkp_repository_close(admin);
}

static void
a_part_proves_no_whole_and_fails_it(void **state)
{
	struct bkp_repository *admin = fixture_open_admin(*state);
	struct fmt_proof proof = proof_of(SNAPSHOT_A, 100, true);

	proof.path = a_part;
	(void)put(admin, proof);
	expect(admin, SNAPSHOT_A, 0, 0, 1);
	proof = proof_of(SNAPSHOT_A, 110, false);
	proof.path = a_part;
	(void)put(admin, proof);
	expect(admin, SNAPSHOT_A, 0, 110, 2);
	bkp_repository_close(admin);
}

static void
a_host_cannot_say_that_a_snapshot_is_good(void **state)
{
	struct bkp_repository *host_side = fixture_open_host(*state);
	struct fmt_proof proof = proof_of(SNAPSHOT_A, 100, true);
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_proofs proofs;
	bool is_local;

	assert_int_equal(bkp_proof_put(host_side, &proof, &is_local, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	/* Nor where it signs with what it has. */
	memcpy(host_side->keys.admin_seed, host_side->keys.signing_seed, 32);
	host_side->keys.has_admin = true;
	(void)put(host_side, proof_of(SNAPSHOT_A, 100, true));
	expect(host_side, SNAPSHOT_A, 0, 0, 0);
	proofs = load(host_side);
	assert_int_equal(proofs.damaged, 1);
	assert_non_null(strstr(proofs.damage.message, "administrators"));
	bkp_proofs_free(&proofs);
	bkp_repository_close(host_side);
}

static void
a_damaged_proof_is_passed_over(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *admin = fixture_open_admin(fixture);
	struct bkp_store *store = fixture_store(fixture);
	struct bkp_proofs proofs;
	char *names;

	(void)put(admin, proof_of(SNAPSHOT_A, 100, true));
	names = fixture_names(fixture, "proofs/");
	assert_non_null(strchr(names, '\n'));
	*strchr(names, '\n') = '\0';
	assert_int_equal(bkp_store_put(store, names, "x", 1, NULL), 0);
	(void)put(admin, proof_of(SNAPSHOT_A, 90, true));
	proofs = load(admin);
	assert_int_equal(proofs.count, 1);
	assert_int_equal(proofs.damaged, 1);
	bkp_proofs_free(&proofs);
	free(names);
	bkp_store_close(store);
	bkp_repository_close(admin);
}

static void
proofs_go_with_their_snapshots(void **state)
{
	static const char gone[1][BKP_OBJECT_NAME] = {SNAPSHOT_A};
	struct bkp_repository *admin = fixture_open_admin(*state);

	(void)put(admin, proof_of(SNAPSHOT_A, 100, true));
	(void)put(admin, proof_of(SNAPSHOT_B, 110, true));
	assert_int_equal(bkp_proofs_remove(admin, gone, 1, NULL), 0);
	expect(admin, SNAPSHOT_A, 0, 0, 1);
	expect(admin, SNAPSHOT_B, 110, 0, 1);
	bkp_repository_close(admin);
}

/* Every call of a repository that takes no writes, and none of one that does
 * not answer. */
static void
a_store_that_takes_no_writes_leaves_it_to_this_machine(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_store_fault fault = BKP_STORE_FAULT_INIT;
	struct bkp_keys keys = fixture_admin_keys(fixture);
	struct bkp_repository *admin = NULL;
	struct bkp_store *store = NULL;
	struct bkp_proofs proofs;

	assert_int_equal(
	    bkp_store_fault_new(fixture_store(fixture), &fault, &store, NULL),
	    0);
	assert_int_equal(
	    bkp_repository_open_store(store, &keys, &admin, NULL), 0);
	fault.fail_at = fault.calls + 1;
	assert_true(put(admin, proof_of(SNAPSHOT_A, 100, true)));
	assert_int_equal(fault.hits, 1);
	proofs = load(admin);
	assert_int_equal(proofs.count, 1);
	assert_true(proofs.items[0].is_local);
	bkp_proofs_free(&proofs);
	/* A newer one replaces it there, too. */
	assert_false(put(admin, proof_of(SNAPSHOT_A, 200, true)));
	expect(admin, SNAPSHOT_A, 200, 0, 1);
	/* Neither here nor there. */
	assert_int_equal(setenv("BACKUP_STATE_DIR", "/dev/null/x", 1), 0);
	fault.fail_at = fault.calls + 1;
	{
		struct fmt_proof proof = proof_of(SNAPSHOT_A, 300, true);
		struct bkp_error err = BKP_ERROR_INIT;
		bool is_local = false;

		assert_int_equal(
		    bkp_proof_put(admin, &proof, &is_local, &err), -1);
		assert_int_equal(err.code, BKP_IO);
	}
	expect(admin, SNAPSHOT_A, 200, 0, 1);
	assert_int_equal(setenv("BACKUP_STATE_DIR", state_folder, 1), 0);
	bkp_repository_close(admin);
}

static int
make_state_folder(void **state)
{
	(void)state;
	return mkdtemp(state_folder) != NULL
		   ? setenv("BACKUP_STATE_DIR", state_folder, 1)
		   : -1;
}

static int
remove_state_folder(void **state)
{
	char command[64];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", state_folder);
	return system(command) == 0 ? 0 : -1;
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(                                       \
	    name, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_host_sees_what_an_administrator_proved),
	    TEST(only_the_newest_of_a_kind_is_kept),
	    TEST(a_part_proves_no_whole_and_fails_it),
	    TEST(a_host_cannot_say_that_a_snapshot_is_good),
	    TEST(a_damaged_proof_is_passed_over),
	    TEST(proofs_go_with_their_snapshots),
	    TEST(a_store_that_takes_no_writes_leaves_it_to_this_machine),
	};

	return cmocka_run_group_tests_name(
	    "proofs", tests, make_state_folder, remove_state_folder);
}
