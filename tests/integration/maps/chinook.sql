-- SPDX-License-Identifier: Apache-2.0
-- What maps/chinook.yaml reaches from the customer :subject, written by hand.
WITH invoices AS (
    SELECT * FROM invoice WHERE customer_id = :subject),
lines AS (
    SELECT * FROM invoice_line
    WHERE invoice_id IN (SELECT invoice_id FROM invoices)),
tracks AS (
    SELECT * FROM track WHERE track_id IN (SELECT track_id FROM lines)),
albums AS (
    SELECT * FROM album WHERE album_id IN (SELECT album_id FROM tracks))
SELECT 'customer'::regclass::oid, ctid, 'own' FROM customer
    WHERE customer_id = :subject
UNION ALL SELECT 'invoice'::regclass, ctid, 'own' FROM invoice
    WHERE customer_id = :subject
UNION ALL SELECT 'invoice_line'::regclass, ctid, 'own' FROM invoice_line
    WHERE invoice_id IN (SELECT invoice_id FROM invoices)
UNION ALL SELECT 'track'::regclass, ctid, 'lookup' FROM track
    WHERE track_id IN (SELECT track_id FROM lines)
UNION ALL SELECT 'album'::regclass, ctid, 'lookup' FROM album
    WHERE album_id IN (SELECT album_id FROM tracks)
UNION ALL SELECT 'artist'::regclass, ctid, 'lookup' FROM artist
    WHERE artist_id IN (SELECT artist_id FROM albums)
UNION ALL SELECT 'genre'::regclass, ctid, 'lookup' FROM genre
    WHERE genre_id IN (SELECT genre_id FROM tracks)
UNION ALL SELECT 'media_type'::regclass, ctid, 'lookup' FROM media_type
    WHERE media_type_id IN (SELECT media_type_id FROM tracks)
UNION ALL SELECT 'employee'::regclass, ctid, 'lookup' FROM employee
    WHERE employee_id = (SELECT support_rep_id FROM customer
        WHERE customer_id = :subject)
