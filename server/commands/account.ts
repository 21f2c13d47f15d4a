import { AccountCreate } from '../../shared/account.js'
import { createAccounts } from '../accounts/accounts.js'
import { readConfig } from '../config.js'
import { silentLog } from '../platform/log.js'
import { readArguments, UsageFault, type Command } from './command.js'
import { openGround } from './ground.js'

const OPTIONS = {
  kind: { type: 'string' },
  'app-id': { type: 'string' },
  secret: { type: 'string' },
  name: { type: 'string' },
  mode: { type: 'string' },
  'api-base': { type: 'string' },
  'callback-token': { type: 'string' },
  data: { type: 'string' }
} as const

/** `hongyan account add`: connects an account without a login; its id alone on standard output. */
export const accountCommand: Command = {
  usage:
    'hongyan account add --kind miniprogram|service --app-id WX… --secret SECRET|- [--name NAME] [--mode live|sandbox] [--api-base URL] [--callback-token TOKEN] [--data DIR] | list',
  async run(argv, io) {
    const { values, positionals } = readArguments(argv, OPTIONS, { min: 1, max: 1 })
    const [verb] = positionals
    if (verb !== 'add' && verb !== 'list') throw new UsageFault(`"${verb}" is none of add, list`)
    const config = readConfig({ ...io.env, ...(values.data !== undefined && { HONGYAN_DATA: values.data }) })
    const body = verb === 'add' ? await read(values, io) : null

    const ground = await openGround(config, silentLog())
    try {
      const accounts = createAccounts({ ...ground, apiBase: config.apiBase, publicUrl: config.publicUrl })
      if (body === null) {
        for (const { id, appId, kind, mode, state, name } of await accounts.list()) {
          io.out([id, appId, kind, mode, state, name].join('  '))
        }
        return 0
      }
      await accounts.ready()
      const account = await accounts.create(body)
      io.err(
        `${account.kind} ${account.appId} "${account.name}" is connected; WeChat's pushes go to ${account.callback.url}`
      )
      io.out(account.id)
      return 0
    } finally {
      await ground.close()
    }
  }
}

async function read(
  values: { [Name in keyof typeof OPTIONS]?: string },
  io: { stdin(): Promise<string> }
): Promise<AccountCreate> {
  const secret = values.secret === '-' ? (await io.stdin()).trim() : values.secret
  const body = AccountCreate.safeParse({
    kind: values.kind,
    appId: values['app-id'],
    secret,
    name: values.name ?? values['app-id'],
    ...(values.mode !== undefined && { mode: values.mode }),
    ...(values['api-base'] !== undefined && { apiBase: values['api-base'] }),
    ...(values['callback-token'] !== undefined && { callback: { token: values['callback-token'] } })
  })
  if (body.success) return body.data
  const flags: Record<string, string> = { appId: '--app-id', apiBase: '--api-base', callback: '--callback-token' }
  const faults = body.error.issues.map(
    ({ path, message }) => `${flags[String(path[0])] ?? `--${String(path[0])}`}: ${message}`
  )
  throw new UsageFault(faults.join('; '))
}
