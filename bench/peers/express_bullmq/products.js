// What is checked of a product and how it is written: the same fields, tables and guard as ../flask_rq.py.

import Ajv from 'ajv'
import addFormats from 'ajv-formats'
import pg from 'pg'

const text = { type: ['string', 'null'] }
const whole = { type: ['integer', 'null'] }
const variant = {
  type: 'object',
  required: ['id'],
  properties: {
    id: { type: 'integer' },
    sku: text,
    barcode: text,
    title: text,
    price: { type: ['string', 'null'], pattern: '^-?\\d+(\\.\\d+)?$' },
    position: whole,
    inventory_quantity: whole,
    option1: text
  }
}
const product = {
  type: 'object',
  required: ['id', 'title', 'handle', 'status', 'updated_at', 'variants'],
  properties: {
    id: { type: 'integer' },
    title: { type: 'string' },
    handle: { type: 'string' },
    status: { type: 'string' },
    vendor: text,
    product_type: text,
    tags: { type: 'string' },
    updated_at: { type: 'string', format: 'date-time' },
    variants: { type: 'array', items: variant }
  }
}

const ajv = new Ajv({ allowUnionTypes: true })
addFormats(ajv)
const isProduct = ajv.compile(product) // into a function, once

export function readProduct (body) {
  const found = JSON.parse(body)
  if (!isProduct(found)) throw new Error(ajv.errorsText(isProduct.errors))
  return found
}

export function connect () {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 })
  pool.on('error', (error) => console.error(error.message))
  return pool
}

// One statement is one transaction and one round trip: BEGIN, three statements and COMMIT took half a millisecond of CPU
// more. With a name it is parsed and planned once a connection. Whatever is older than the table's writes nothing.
const writeProduct = {
  name: 'write-product',
  text: `
    WITH written AS (
      INSERT INTO products (shop, id, title, handle, status, vendor, product_type, tags, updated_at)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
      ON CONFLICT (shop, id) DO UPDATE
      SET title = excluded.title, handle = excluded.handle, status = excluded.status, vendor = excluded.vendor,
          product_type = excluded.product_type, tags = excluded.tags, updated_at = excluded.updated_at
      WHERE products.updated_at <= excluded.updated_at
      RETURNING id
    ), found AS (
      SELECT * FROM json_to_recordset($10) AS variant (id bigint, sku text, barcode text, title text, price numeric,
                                                       position integer, inventory_quantity integer, option1 text)
    ), gone AS (
      DELETE FROM variants
      WHERE shop = $1 AND product_id IN (SELECT id FROM written) AND id NOT IN (SELECT id FROM found)
    )
    INSERT INTO variants (shop, id, product_id, sku, barcode, title, price, position, inventory_quantity, option1)
    SELECT $1, found.id, written.id, sku, barcode, title, price, position, inventory_quantity, option1
    FROM found, written
    ON CONFLICT (shop, id) DO UPDATE
    SET product_id = excluded.product_id, sku = excluded.sku, barcode = excluded.barcode, title = excluded.title,
        price = excluded.price, position = excluded.position, inventory_quantity = excluded.inventory_quantity,
        option1 = excluded.option1`
}

export async function write (pool, shop, found) {
  const tags = (found.tags ?? '').split(',').map((tag) => tag.trim()).filter(Boolean)
  const { id, title, handle, status, vendor, product_type: type, updated_at: updatedAt, variants } = found
  const values = [shop, id, title, handle, status, vendor, type, tags, updatedAt, JSON.stringify(variants)]
  await pool.query({ ...writeProduct, values })
}

export async function findBySku (pool, shop, sku) {
  const text = `
    SELECT products.* FROM variants JOIN products ON products.shop = variants.shop AND products.id = variants.product_id
    WHERE variants.shop = $1 AND variants.sku = $2`
  const { rows } = await pool.query({ name: 'find-by-sku', text, values: [shop, sku] })
  return rows
}
