import { setImmediate as turn } from 'node:timers/promises'
import { checkDeadline } from './generic.js'

/** Lets everyone else have a turn of the event loop. @throws MongoError 50 when the deadline has passed by then */
export async function pause(deadline: number): Promise<void> {
  await turn()
  checkDeadline(deadline)
}
