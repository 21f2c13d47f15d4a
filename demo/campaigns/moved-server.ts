import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buildApp } from '../../server/app.js'
import { openGround } from '../../server/commands/ground.js'
import { tryPort, untilSignal } from '../../server/commands/process.js'
import { readConfig } from '../../server/config.js'
import type { Clock } from '../../server/platform/clock.js'
import { createLog } from '../../server/platform/log.js'

/**
 * `hongyan serve` as it is, but for the hands of its clock: days of a story pass in a minute. Rooms, routes, jobs, store
 * and ports are the server's own; only the `Clock` they are all handed is moved on. No command of `hongyan` can do this.
 *
 * POST to the address told as `clock` with `{ "set": <ms since 1970> }` moves it; GET reads it.
 */
const config = readConfig(process.env)
const log = createLog({ level: config.logLevel, pretty: false })
config.port = await tryPort(config.host, config.port)
config.publicUrl = `http://${config.host}:${config.port}`

const stopped = untilSignal()
const ground = await openGround(config, log)
let aheadMs = Number(process.argv[2] ?? Date.now()) - Date.now()
const clock: Clock = {
  now: () => new Date(ground.clock.now().getTime() + aheadMs),
  monotonic: () => ground.clock.monotonic()
}
const server = await buildApp({
  config,
  db: ground.db,
  clock,
  log,
  sealer: ground.sealer,
  random: Math.random,
  works: true,
  serves: true
})
await server.rooms.operators.ready()
await server.rooms.operators.ensureOwner(config.adminEmail!, config.adminPassword!)
await server.start()
const url = await server.app.listen({ host: config.host, port: config.port })

const hands = createServer((request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => {
    if (request.method === 'POST') {
      const { set } = JSON.parse(Buffer.concat(parts).toString()) as { set: number }
      aheadMs += set - clock.now().getTime()
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ now: clock.now().getTime() }))
  })
})
await new Promise<void>((resolve) => hands.listen(0, '127.0.0.1', resolve))
process.send?.({ kind: 'ready', url, clock: `http://127.0.0.1:${(hands.address() as AddressInfo).port}` })

await stopped.signal
hands.closeAllConnections()
hands.close()
await server.stop()
await ground.close()
stopped.off()
log.flush()
