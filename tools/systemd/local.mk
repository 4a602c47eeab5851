# SPDX-License-Identifier: Apache-2.0
# Units for systemd: templates, one instance a job.
dist_systemdsystemunit_DATA = \
	tools/systemd/libbackup@.timer \
	tools/systemd/libbackup-verify@.timer
systemdsystemunit_DATA = \
	tools/systemd/libbackup@.service \
	tools/systemd/libbackup-verify@.service
EXTRA_DIST += \
	tools/systemd/libbackup@.service.in \
	tools/systemd/libbackup-verify@.service.in
CLEANFILES += $(systemdsystemunit_DATA)

systemd_unit = $(AM_V_GEN)$(MKDIR_P) tools/systemd && \
	sed 's|@bindir[@]|$(bindir)|g' '$(top_srcdir)/$@.in' >'$@.tmp' && \
	mv '$@.tmp' '$@'
tools/systemd/libbackup@.service: tools/systemd/libbackup@.service.in Makefile
	$(systemd_unit)
tools/systemd/libbackup-verify@.service: \
		tools/systemd/libbackup-verify@.service.in Makefile
	$(systemd_unit)
