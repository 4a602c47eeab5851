# SPDX-License-Identifier: Apache-2.0
# pytest against real servers; every test is one line of TAP. What is missing
# makes them fail: see BACKUP_TEST_WAIVE in conftest.py.
dist_check_SCRIPTS += tests/integration/run tests/integration/run-odd \
	tests/integration/run-even
EXTRA_DIST += \
	tests/integration/conftest.py \
	tests/integration/pytest.ini \
	tests/integration/tap.py \
	tests/integration/test_check.py \
	tests/integration/test_extension.py \
	tests/integration/test_harness.py \
	tests/integration/test_interrupted.py \
	tests/integration/test_keys.py \
	tests/integration/test_refuses_bucket.py \
	tests/integration/test_refuses_input.py \
	tests/integration/test_refuses_postgres.py \
	tests/integration/test_refuses_repository.py \
	tests/integration/test_round_trip.py \
	tests/integration/test_samples.py \
	tests/integration/test_scans.py

if INTEGRATION_TESTS
# Two halves side by side: one alone mostly waits for its servers.
TESTS += tests/integration/run-odd tests/integration/run-even
endif

# reports of a verification
EXTRA_DIST += tests/integration/junit.xsd tests/integration/test_reports.py \
	tests/integration/test_ci_job.py

# age: the program of that name is the witness
EXTRA_DIST += tests/integration/test_age_interop.py

# s3: the client as a program, held against servers good and bad
check_PROGRAMS += tests/integration/s3_tool
tests_integration_s3_tool_LDADD = libbackup/libbackup-internal.la
EXTRA_DIST += tests/integration/test_s3.py \
	tests/integration/test_bucket_again.py \
	tests/integration/test_bucket_keys.py \
	tests/integration/test_bucket_locks.py \
	tests/integration/test_bucket_moment.py \
	tests/integration/test_bucket_versions.py \
	tests/integration/test_s3_bucket.py \
	tests/integration/test_s3_lock.py \
	tests/integration/test_s3_parallel.py \
	tests/integration/test_bucket_doubts.py \
	tests/integration/test_s3_refused.py \
	tests/integration/test_s3_tls.py \
	tests/integration/test_s3_v2.py \
	tests/integration/test_s3_versions.py

# store: repositories in buckets
check_PROGRAMS += tests/integration/store_tool
tests_integration_store_tool_SOURCES = tests/integration/store_tool.c \
	$(STORE_SUITE)
tests_integration_store_tool_CFLAGS = $(UNIT_CFLAGS)
tests_integration_store_tool_LDADD = $(UNIT_LIBS)
EXTRA_DIST += tests/integration/test_s3_repository.py \
	tests/integration/test_s3_faults.py \
	tests/integration/test_s3_past.py \
	tests/integration/test_s3_servers.py

# postgres: there and back, and what is refused
EXTRA_DIST += tests/integration/test_postgres.py tests/integration/awkward.sql \
	tests/integration/test_restore_order.py

# postgres: what has gone wrong in somebody's backup; see tests/pitfalls.tsv
EXTRA_DIST += tests/integration/test_pitfalls.py \
	tests/integration/test_pitfalls_restore.py

# postgres: one of everything that can be defined
EXTRA_DIST += tests/integration/test_everything.py \
	tests/integration/everything.sql

# formats: the recipes of the specifications, with age, zstd and od
EXTRA_DIST += tests/integration/test_formats_by_hand.py

# recovery: the scripts of the man page, without the project
EXTRA_DIST += tests/integration/test_recovery.py

# differences: rows that change anywhere, night after night
EXTRA_DIST += tests/integration/test_differences.py

# power loss: the order of syncs and renames, by strace
EXTRA_DIST += tests/integration/test_power_loss.py

# killed: whatever is at work, at random instants
EXTRA_DIST += tests/integration/test_killed.py
# archives: one snapshot in one file
EXTRA_DIST += tests/integration/test_archive.py
# provider: whoever has the store plays with it
EXTRA_DIST += tests/integration/test_provider.py

# error correction
EXTRA_DIST += tests/integration/test_error_correction.py

# export: one person's data, as the command writes it
EXTRA_DIST += tests/integration/test_export.py \
	tests/integration/test_export_forms.py \
	tests/integration/test_export_schema.py \
	tests/integration/test_export_told.py

# past: the same out of a snapshot
EXTRA_DIST += tests/integration/test_past.py

# forget: erasures that are recorded
EXTRA_DIST += tests/integration/test_forget.py

# golden: what earlier versions wrote
EXTRA_DIST += tests/integration/test_golden.py \
	tests/golden/README.md tests/golden/make.py \
	tests/golden/archive.tar.zst.age tests/golden/expected.json \
	tests/golden/host.key tests/golden/identity.txt \
	tests/golden/repository tests/golden/grown \
	tests/golden/erased tests/golden/mixed

# hard: what is hard to read in one moment
EXTRA_DIST += tests/integration/test_limits.py
EXTRA_DIST += tests/integration/test_guard.py
EXTRA_DIST += tests/integration/test_guard_killed.py
EXTRA_DIST += tests/integration/test_job.py \
	tests/integration/test_schema.py \
	tests/integration/test_recipes.py
EXTRA_DIST += tests/integration/test_hard_moment.py \
	tests/integration/test_many_tables.py \
	tests/integration/test_sizes.py \
	tests/integration/test_standby.py \
	tests/integration/test_extensions_used.py

# prune: nights of backups, and what is left of them
EXTRA_DIST += tests/integration/test_prune.py

# restore and verify over a repository that has lost something
EXTRA_DIST += tests/integration/test_lost.py
# subject: the catalogue as maps see it
check_PROGRAMS += tests/integration/subject_tool
tests_integration_subject_tool_LDADD = \
	libbackup/libbackup-internal.la $(JANSSON_LIBS)
EXTRA_DIST += tests/integration/odd_edges.sql \
	tests/integration/test_subject_model.py \
	tests/integration/test_subject_propose.py \
	tests/integration/test_subject_review.py

# subject: allocations that fail
check_PROGRAMS += tests/integration/nomem_tool
tests_integration_nomem_tool_SOURCES = tests/integration/nomem_tool.c \
	$(FAILING_ALLOC)
tests_integration_nomem_tool_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_integration_nomem_tool_LDADD = libbackup/libbackup-internal.la
EXTRA_DIST += tests/integration/test_nomem.py

# subject: the walk against walks written by hand
check_PROGRAMS += tests/integration/walk_tool
tests_integration_walk_tool_LDADD = libbackup/libbackup-internal.la
EXTRA_DIST += tests/integration/test_walk.py \
	tests/integration/application/data.sql \
	tests/integration/application/map.yaml \
	tests/integration/application/schema.sql \
	tests/integration/application/walk.sql \
	tests/integration/maps/chinook.sql \
	tests/integration/maps/chinook.yaml \
	tests/integration/maps/pagila.sql \
	tests/integration/maps/pagila.yaml

# samples: customers of Pagila and Chinook, through the command
EXTRA_DIST += tests/integration/test_sample_exports.py

# organisation: its rows and files against a walk written by hand
EXTRA_DIST += tests/integration/test_organisation.py \
	tests/integration/application/organisation.sql

# unreadable: tables and objects that an export has to do without
EXTRA_DIST += tests/integration/test_unreadable.py

# one moment: what is committed while an export runs
EXTRA_DIST += tests/integration/test_one_moment.py

# imports: an export, back into an empty application
EXTRA_DIST += tests/integration/test_import.py \
	tests/integration/test_import_application.py \
	tests/integration/application/organisation.yaml

# what an erasure deletes, clears and leaves
EXTRA_DIST += tests/integration/test_erase.py tests/integration/test_replay.py
EXTRA_DIST += tests/integration/test_import.py

# nested: subject.json
EXTRA_DIST += tests/integration/test_nested.py

# canaries: every byte of an export, searched for other people
EXTRA_DIST += tests/integration/test_canaries.py

# swap: a restored database in the place of one that is in use
EXTRA_DIST += tests/integration/test_swap.py \
	tests/integration/test_two_repositories.py

# managed: roles that may do little
EXTRA_DIST += tests/integration/test_managed.py
EXTRA_DIST += tests/integration/test_collation_versions.py

# selective: parts of databases
EXTRA_DIST += tests/integration/test_selective.py
# incremental: rows that are not read again
EXTRA_DIST += tests/integration/test_incremental.py

# binary: rows in COPY's binary form
EXTRA_DIST += tests/integration/test_binary.py

# backup-verify: what it has to notice
EXTRA_DIST += tests/integration/test_drill.py \
	tests/integration/test_drill_server.py \
	tests/integration/test_mutations.py \
	tests/integration/mutations/kinds.py \
	tests/integration/mutations/places.py \
	tests/integration/mutations/schema.sql
# verify: each check by itself
EXTRA_DIST += tests/integration/test_verify_checks.py
# references: keys that rows name; assertions
EXTRA_DIST += tests/integration/test_references.py
EXTRA_DIST += tests/integration/test_verify_checks.py \
	tests/integration/test_verify_sample.py \
	tests/integration/test_verify_drop.py \
	tests/integration/test_verify_part.py

# doctor: what is planted is found
EXTRA_DIST += tests/integration/test_doctor.py \
	tests/integration/test_doctor_places.py \
	tests/integration/test_doctor_server.py
# notifications and metrics: told to real servers, and read by others
check_PROGRAMS += tests/integration/notify_tool
tests_integration_notify_tool_LDADD = libbackup/libbackup-internal.la
EXTRA_DIST += tests/integration/test_notify.py tests/integration/test_metrics.py
# share: backups that several processes make
EXTRA_DIST += tests/integration/test_share.py
EXTRA_DIST += tests/integration/test_share_bucket.py
EXTRA_DIST += tests/integration/test_share_hosts.py
EXTRA_DIST += tests/integration/test_share_leader.py
EXTRA_DIST += tests/integration/test_alerts.py \
	tests/integration/test_dashboard.py
EXTRA_DIST += tests/integration/test_journal.py
EXTRA_DIST += tests/integration/test_run_told.py

# documentation: what people are told to type
EXTRA_DIST += tests/integration/test_documentation.py

# service: what its unit leaves of root is enough
EXTRA_DIST += tests/integration/test_service.py
