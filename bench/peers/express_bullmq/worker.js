// `node worker.js`: takes one job a webhook out of Redis, checks the product and writes it.

import { Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { connect, readProduct, write } from './products.js'

const pool = connect()

const worker = new Worker('webhooks', (job) => write(pool, job.data.shop, readProduct(job.data.body)), {
  connection: new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null }), // BullMQ asks for it
  concurrency: 25 // more than there are connections, so that none is ever idle
})
worker.on('failed', (job, error) => console.error(`job ${job?.id}: ${error.message}`))
worker.on('error', (error) => console.error(error.message))
process.on('SIGTERM', () => process.exit())
