# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# S3 servers beside MinIO, and MinIO's client to measure with: found, or built
# with their vendors' own lines. To be sourced after go.sh.

s3servers_all="versitygw s3proxy mc"

# s3servers_version NAME
s3servers_version()
{
	case $1 in
	versitygw) echo v1.8.0 ;;
	s3proxy) echo 4.1.0 ;;
	mc) echo v0.0.0-20250313080218-cf909e1063a9 ;;
	esac
}

# s3servers_find NAME: $VERSITYGW (and so on), PATH, the cache.
s3servers_find()
{
	variable=$(echo "$1" | tr a-z A-Z)
	eval "named=\${$variable:-}"
	if [ -n "$named" ]; then
		command -v "$named" && return 0
		go_say "\$$variable names $named, which is no program"
		return 1
	fi
	go_found "$1" "$(s3servers_version "$1")"
}

# What Maven is told: a project that is nothing but what it needs, in the
# versions that it was built with.
s3servers_pom()
{
	cat <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>libbackup</groupId>
  <artifactId>to-test-with</artifactId>
  <version>1</version>
  <dependencyManagement>
    <dependencies>
      <dependency>
        <groupId>$1</groupId>
        <artifactId>$2</artifactId>
        <version>$3</version>
        <type>pom</type>
        <scope>import</scope>
      </dependency>
    </dependencies>
  </dependencyManagement>
  <dependencies>
    <dependency>
      <groupId>$1</groupId>
      <artifactId>$2</artifactId>
      <version>$3</version>
    </dependency>
  </dependencies>
</project>
XML
}

# s3servers_maven GROUP NAME MAIN: libraries, and a script that starts them.
s3servers_maven()
{
	command -v mvn >/dev/null 2>&1 || packages_install maven >&2
	if ! command -v mvn >/dev/null 2>&1; then
		go_say "$2: this needs Java and Maven, and there is no mvn here"
		return 1
	fi
	version=$(s3servers_version "$2")
	folder=$(go_cache)/$2-$version
	mkdir -p "$(go_cache)"
	scratch=$(mktemp -d "$(go_cache)/maven.XXXXXX")
	trap 'rm -rf "$scratch"' EXIT
	trap 'exit 1' HUP INT TERM
	go_say "$2: Maven's $1:$2:$version, and what it needs"
	s3servers_pom "$1" "$2" "$version" >"$scratch/pom.xml"
	mkdir "$scratch/made"
	mvn -q -B -f "$scratch/pom.xml" -Dmaven.repo.local="$scratch/m2" \
		org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
		-DincludeScope=runtime \
		-DoutputDirectory="$scratch/made/lib" >&2 || return 1
	cat >"$scratch/made/$2" <<SCRIPT
#!/bin/sh
exec java \${JAVA_OPTIONS:-} -cp "\$(dirname "\$0")/lib/*" $3 "\$@"
SCRIPT
	chmod +x "$scratch/made/$2"
	mv "$scratch/made" "$folder" || return 1
	go_say "$2: kept in $folder"
	echo "$folder/$2"
}

# s3servers_install NAME: in a subshell.
s3servers_install()
{
	version=$(s3servers_version "$1")
	case $1 in
	versitygw)
		go_install versitygw \
			github.com/versity/versitygw/cmd/versitygw "$version"
		;;
	mc) go_install mc github.com/minio/mc "$version" ;;
	s3proxy) s3servers_maven org.gaul s3proxy org.gaul.s3proxy.Main ;;
	esac
}

s3servers_find_or_install()
{
	s3servers_find "$1" || (s3servers_install "$1")
}

# Names those that are here for the programs that are started afterwards.
s3servers_export()
{
	for name in $s3servers_all; do
		found=$(s3servers_find "$name") || continue
		export "$(echo "$name" | tr a-z A-Z)=$found"
	done
}
