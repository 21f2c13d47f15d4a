import { openGround } from '../../../server/commands/ground.js'
import { readConfig } from '../../../server/config.js'
import { silentLog } from '../../../server/platform/log.js'
import { createResealing } from '../../../server/resealing/resealing.js'

/** Seals a store anew, one value at a time, and says how far it is: the process that is killed in the middle of it. */
const ground = await openGround(readConfig({ HONGYAN_DATA: process.argv[2] }), silentLog())
await createResealing({ ...ground, log: silentLog(), batch: 1 }).run({
  told: (moved) => process.stdout.write(`${moved}\n`)
})
await ground.close()
