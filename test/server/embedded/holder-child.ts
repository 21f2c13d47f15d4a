/* Started by store-succession.test.ts: has the store in the directory named by its argument open until it is killed. */
import { openEmbedded } from '../../../server/embedded/embedded.js'

const store = await openEmbedded({ dir: process.argv[2] })
process.stdout.write(JSON.stringify({ uri: store.uri, owner: store.owner }))
setInterval(() => {}, 2 ** 30)
