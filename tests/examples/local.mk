# SPDX-License-Identifier: Apache-2.0
# A program that knows nothing of this tree is built against what `make
# install` put in place, by pkg-config, and run; so are the commands.
EXTRA_DIST += tests/examples/snapshots.c

installcheck-local:
	@set -e; work=`mktemp -d`; trap 'rm -rf "$$work"' EXIT; \
	PKG_CONFIG_PATH='$(DESTDIR)$(pkgconfigdir)'; \
	export PKG_CONFIG_PATH; \
	if test -n '$(DESTDIR)'; then \
		PKG_CONFIG_SYSROOT_DIR='$(DESTDIR)'; \
		export PKG_CONFIG_SYSROOT_DIR; \
	fi; \
	$(CC) -std=c17 $(SANITIZE_CFLAGS) -o "$$work/snapshots" \
		'$(srcdir)/tests/examples/snapshots.c' \
		`$(PKG_CONFIG) --cflags --libs libbackup`; \
	LD_LIBRARY_PATH='$(DESTDIR)$(libdir)'; export LD_LIBRARY_PATH; \
	test "`"$$work/snapshots" --version`" = \
		'$(PACKAGE_VERSION) $(PACKAGE_VERSION)'; \
	if "$$work/snapshots" "$$work/none" "$$work/none" 2>"$$work/err"; \
	then exit 1; fi; \
	grep -q '^snapshots: .' "$$work/err"; \
	for name in $(bin_PROGRAMS); do \
		name=`basename "$$name"`; \
		'$(DESTDIR)$(bindir)'/"$$name" --version | \
			grep -q '$(PACKAGE_VERSION)'; \
		test -s '$(DESTDIR)$(man1dir)'/"$$name.1"; \
	done; \
	echo 'installcheck: an example through pkg-config and the commands run'
