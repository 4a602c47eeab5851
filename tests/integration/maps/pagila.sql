-- SPDX-License-Identifier: Apache-2.0
-- What maps/pagila.yaml reaches from the customer :subject, written by hand.
WITH own_rental AS (
    SELECT * FROM rental WHERE customer_id = :subject),
own_payment AS (
    SELECT tableoid, ctid, * FROM payment WHERE customer_id = :subject
    OR rental_id IN (SELECT rental_id FROM own_rental)),
own_customer AS (SELECT * FROM customer WHERE customer_id = :subject),
copies AS (
    SELECT * FROM inventory
    WHERE inventory_id IN (SELECT inventory_id FROM own_rental)),
films AS (
    SELECT * FROM film WHERE film_id IN (SELECT film_id FROM copies)),
stores AS (
    SELECT * FROM store WHERE store_id IN (SELECT store_id FROM copies
        UNION SELECT store_id FROM own_customer)),
addresses AS (
    SELECT a.ctid, a.*, 'own' AS decided FROM address a
    WHERE address_id IN (SELECT address_id FROM own_customer)
    UNION ALL
    SELECT a.ctid, a.*, 'lookup' FROM address a
    WHERE address_id IN (SELECT address_id FROM stores)
    AND address_id NOT IN (SELECT address_id FROM own_customer)),
cities AS (
    SELECT * FROM city WHERE city_id IN (SELECT city_id FROM addresses))
SELECT 'customer'::regclass::oid, ctid, 'own' FROM customer
    WHERE customer_id = :subject
UNION ALL SELECT 'rental'::regclass, ctid, 'own' FROM rental
    WHERE customer_id = :subject
UNION ALL SELECT tableoid, ctid, 'own' FROM own_payment
UNION ALL SELECT 'address'::regclass, ctid, decided FROM addresses
UNION ALL SELECT 'inventory'::regclass, ctid, 'lookup' FROM inventory
    WHERE inventory_id IN (SELECT inventory_id FROM copies)
UNION ALL SELECT 'film'::regclass, ctid, 'lookup' FROM film
    WHERE film_id IN (SELECT film_id FROM films)
UNION ALL SELECT 'language'::regclass, ctid, 'lookup' FROM language
    WHERE language_id IN (SELECT language_id FROM films
        UNION SELECT original_language_id FROM films)
UNION ALL SELECT 'store'::regclass, ctid, 'lookup' FROM store
    WHERE store_id IN (SELECT store_id FROM stores)
UNION ALL SELECT 'staff'::regclass, ctid, 'lookup' FROM staff
    WHERE staff_id IN (SELECT staff_id FROM own_rental
        UNION SELECT staff_id FROM own_payment)
UNION ALL SELECT 'city'::regclass, ctid, 'lookup' FROM city
    WHERE city_id IN (SELECT city_id FROM cities)
UNION ALL SELECT 'country'::regclass, ctid, 'lookup' FROM country
    WHERE country_id IN (SELECT country_id FROM cities)
