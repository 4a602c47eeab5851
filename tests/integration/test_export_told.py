# SPDX-License-Identifier: Apache-2.0
"""What an export rests on and tells of itself: a map that decides everything,
tables that had nothing, pseudonyms of its own."""

import os
import re

from harness.stack import COMPLETE, FAILED
from test_export import MAP, exporter, manifest, rows

assert exporter  # a fixture


def use(exporter, text):
    with open(exporter.map, "w") as out:
        out.write(text)


def asked(done):
    """The findings of a check that keep exports from being made."""
    return [event for event in done.of_type("finding")
            if event["level"] == "open"]


# ---- a map ----

def undecided_lines(text):
    return [number for number, line in enumerate(text.split("\n"), 1)
            if re.search(r"\bundecided(: true)?$", line)
            and not re.match(r"\s*(#|origin:)", line)]


def test_a_map_is_planned_and_asks_what_check_asks(exporter, postgres,
                                                   database):
    postgres.execute(database, "ALTER TABLE orders ADD seller_id bigint;"
                     "ALTER TABLE users ADD photo_path text")
    exporter.map = exporter.stack.path("new.yaml")
    told = exporter.run("plan", "--json", "--table", "public.users")
    done = exporter.run("plan", "--table", "public.users")
    assert (told.status, done.status) == (COMPLETE, COMPLETE), str(done)
    assert not os.path.exists(exporter.map)
    assert told.result["map"] == done.out
    lines = undecided_lines(done.out)
    assert told.result["undecided"] == len(lines) > 3
    assert "%d decisions are left" % len(lines) in done.err
    use(exporter, done.out)
    checked = exporter.run("check", "--json")
    assert checked.status == FAILED, str(checked)
    assert sorted(event["line"] for event in asked(checked)) == lines
    assert {event["kind"] for event in asked(checked)} == {
        "edge-undecided", "table-undecided", "column-undecided"}


def test_a_decision_is_kept_when_a_map_is_planned_again(exporter):
    exporter.map = exporter.stack.path("new.yaml")
    edge = "public.messages(author) -> public.users(id)"
    text = exporter.run("plan", "--table", "public.users").out
    entry = '  "%s": undecided\n' % edge
    assert text.count(entry) == 1, text
    use(exporter, text.replace(entry, '  "%s": shared\n' % edge))
    before = exporter.run("check", "--json")
    done = exporter.run("plan")
    assert done.status == COMPLETE, str(done)
    use(exporter, done.out)
    after = exporter.run("check", "--json")
    # What the table is is answered by the edge that leads to it now.
    assert {event["what"] for event in asked(before)} - \
        {event["what"] for event in asked(after)} == {"public.messages"}
    assert len(asked(after)) == len(asked(before)) - 1
    assert edge not in {event["what"] for event in asked(after)}
    assert '"%s": shared' % edge in done.out


def test_portability_needs_to_know_where_rows_are_from(exporter):
    use(exporter, MAP.replace("public.messages: {label: Messages, origin:"
                              " provided}", "public.messages: {label: Mail}"))
    checked = exporter.run("check", "--json")
    assert checked.status == COMPLETE, str(checked)
    assert [event["what"] for event in checked.of_type("finding")
            if event["kind"] == "origin-undecided"] == ["public.messages"]
    exporter.export("1", "access", "--no-files")
    output = exporter.stack.path("portable")
    done = exporter.run("run", "--subject", "1", "--portability", output)
    assert done.status == FAILED, str(done)
    assert "public.messages" in done.err and "1 table" in done.err
    assert "origin" in done.err and not os.path.exists(output)


def test_an_origin_of_every_column_is_one_of_the_table(exporter):
    use(exporter, MAP.replace(
        "public.messages: {label: Messages, origin: provided}",
        """public.messages:
    columns:
      id: {origin: observed}
      author: {origin: provided}
      reader: {origin: provided}
      body: {origin: derived}"""))
    checked = exporter.run("check", "--json")
    assert not [event for event in checked.of_type("finding")
                if event["kind"] == "origin-undecided"]
    folder, _ = exporter.export("1", "out", "--portability", "--no-files")
    assert [sorted(row) for row in rows(
        folder, "shared/public.messages.ndjson")] == \
        [["author", "id", "reader"]] * 2


def test_columns_that_may_name_large_objects_are_told(exporter, postgres,
                                                      database):
    postgres.execute(database, "CREATE DOMAIN lo AS oid;"
                     "ALTER TABLE orders ADD scan lo, ADD paper oid,"
                     " ADD plain oid; ALTER TABLE settings ADD x oid")
    use(exporter, MAP.replace("{label: Orders,", "{columns: {plain: "
                              "{plain: true}}, label: Orders,"))
    checked = exporter.run("check", "--json")
    assert checked.status == COMPLETE, str(checked)
    assert sorted(event["what"] for event in checked.of_type("finding")
                  if event["kind"] == "large-object") == [
        "public.orders.paper", "public.orders.scan"]


# ---- what the manifest tells ----

def test_a_table_of_which_nothing_was_found_is_told(exporter, postgres,
                                                    database):
    folder, _ = exporter.export("1", "whole", "--no-files")
    assert manifest(folder)["empty"] == []
    postgres.execute(
        database, "DELETE FROM orders WHERE user_id = 9007199254740993")
    blocks = {"table": "public.blocks", "decision": "actor", "label": None}
    found = [
        {"table": "public.orders", "decision": "own", "label": "Orders"},
        blocks,
        {"table": "public.products", "decision": "lookup", "label": None}]
    folder, _ = exporter.export("9007199254740993", "out", "--no-files")
    told = manifest(folder)
    assert told["empty"] == found
    assert [table["table"] for table in told["tables"]] == [
        "public.users", "public.messages"]
    # What is no part of portability was not asked for.
    folder, _ = exporter.export("9007199254740993", "portable", "--no-files",
                                "--portability")
    told = manifest(folder)
    assert told["empty"] == [item for item in found if item != blocks]


def test_pseudonyms_are_the_same_in_one_export_and_in_no_other(
        exporter, postgres, database):
    postgres.execute(database, "UPDATE orders SET note = 'same' WHERE id < 3;"
                     "UPDATE users SET state = 'a', phone = 'same'")
    use(exporter, MAP.replace("phone: {mask: true}",
                              "phone: {pseudonym: words}").replace(
        "{label: Orders,",
        "{columns: {note: {pseudonym: words}}, label: Orders,"))
    seen = []
    for name in ("one", "two"):
        folder, _ = exporter.export("1", name, "--no-files")
        user, = rows(folder, "own/public.users.ndjson")
        notes = [row["note"] for row in rows(folder,
                                             "own/public.orders.ndjson")]
        sent, got = rows(folder, "shared/public.messages.ndjson")
        assert user["phone"] == notes[0] == notes[1]
        assert notes[2] is None and notes[-1] not in (None, notes[0])
        assert sent["reader"] == got["author"]
        made = {user["phone"], *notes, sent["reader"]} - {None}
        assert len(made) == 1 + 80 + 1
        assert all(re.fullmatch("[0-9a-f]{16}", text) for text in made)
        seen.append(made)
    assert not seen[0] & seen[1]
