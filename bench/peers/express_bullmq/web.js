// `node web.js`: verifies each webhook over its raw bytes, lays a job into Redis, answers 200. One job a webhook.

import { createHmac, timingSafeEqual } from 'node:crypto'
import { Queue } from 'bullmq'
import express from 'express'
import { Redis } from 'ioredis'
import { connect, findBySku } from './products.js'

const secret = process.env.SHOPIFY_API_SECRET
const pool = connect()
const queue = new Queue('webhooks', {
  connection: new Redis(process.env.REDIS_URL, { enableAutoPipelining: true }), // many jobs in one write
  defaultJobOptions: { removeOnComplete: true, removeOnFail: 1000 }
})
queue.on('error', (error) => console.error(error.message))

const app = express()
app.disable('x-powered-by')
app.disable('etag')

app.post('/webhooks', express.raw({ type: '*/*', limit: '10mb' }), async (request, response) => {
  if (!isGenuine(request.body, request.get('X-Shopify-Hmac-Sha256') ?? '')) return response.status(401).end()
  const topic = request.get('X-Shopify-Topic')
  if (topic === 'products/create' || topic === 'products/update') {
    await queue.add(topic, { shop: request.get('X-Shopify-Shop-Domain'), body: request.body.toString() })
  }
  response.status(200).end()
})

app.get('/shops/:shop/products', async (request, response) => {
  response.json({ results: await findBySku(pool, request.params.shop, request.query.q) })
})

function isGenuine (body, signature) {
  const expected = createHmac('sha256', secret).update(body).digest()
  const given = Buffer.from(signature, 'base64')
  return given.length === expected.length && timingSafeEqual(given, expected)
}

const server = app.listen(Number(process.env.PORT), '127.0.0.1')
server.keepAliveTimeout = 65_000 // longer than whoever is in front keeps a connection
process.on('SIGTERM', () => process.exit())
