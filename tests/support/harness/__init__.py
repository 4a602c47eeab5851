# SPDX-License-Identifier: Apache-2.0
"""Throwaway servers, the project's commands, and independent witnesses.

Used by the integration tests, the demonstration and the benchmarks. Nothing
in here knows how the library works: what it says about data it got from
psycopg, boto3 and the file system.
"""
