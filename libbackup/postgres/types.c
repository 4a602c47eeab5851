/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Types whose binary form is the same on every server that is supported, and
 * says all that their text says. Of one of everything here a test compares
 * what comes back. Not among them, for what is in their binary form or because
 * it depends on settings: money, xml, reg*, oid and its like, what extensions
 * bring, composite types, and ranges of types of the user. An enum is sent as
 * its label.
 *
 * Arrays neither: one that has had a NULL says that it has some for ever, and
 * not any more when it was sent and received, so that equal rows would differ.
 * And old minor versions do not take every tsvector that they have sent.
 */
#include "libbackup/postgres/catalogue.h"

const char bkp_pg_types[] =
    "WITH RECURSIVE domain AS ("
    " SELECT oid AS type, typbasetype AS base FROM pg_catalog.pg_type"
    "  WHERE typtype = 'd'"
    " UNION ALL SELECT d.type, t.typbasetype FROM domain d"
    "  JOIN pg_catalog.pg_type t ON t.oid = d.base AND t.typtype = 'd'),"
    "plain AS ("
    " SELECT oid, typname::text AS name FROM pg_catalog.pg_type"
    " WHERE typnamespace = 'pg_catalog'::pg_catalog.regnamespace"
    " AND typname::text = ANY ('{bool,bytea,char,name,int2,int4,int8,float4,"
    "float8,numeric,text,varchar,bpchar,uuid,date,time,timetz,timestamp,"
    "timestamptz,interval,json,jsonb,inet,cidr,macaddr,macaddr8,bit,varbit,"
    "point,line,lseg,box,path,polygon,circle,pg_lsn,int4range,"
    "int8range,numrange,tsrange,tstzrange,daterange}')),"
    "known AS ("
    " SELECT oid, name FROM plain"
    " UNION ALL SELECT oid, 'enum' FROM pg_catalog.pg_type"
    "  WHERE typtype = 'e') "
    "SELECT oid AS type, name FROM known "
    "UNION ALL SELECT d.type, k.name FROM domain d"
    " JOIN known k ON k.oid = d.base";
