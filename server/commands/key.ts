import { ApiKeyCreate, Scope } from '../../shared/operator.js'
import { createAccounts } from '../accounts/accounts.js'
import { readConfig } from '../config.js'
import { createApiKeys } from '../operators/api-keys.js'
import { silentLog } from '../platform/log.js'
import { readArguments, UsageFault, type Command } from './command.js'
import { openGround } from './ground.js'

/** `hongyan key create`: an API key without a login; the key alone on standard output. */
export const keyCommand: Command = {
  usage: 'hongyan key create --scopes a,b|all --name NAME [--accounts ID,…] [--expires-at INSTANT] [--data DIR]',
  async run(argv, io) {
    const { values, positionals } = readArguments(
      argv,
      {
        scopes: { type: 'string' },
        name: { type: 'string' },
        accounts: { type: 'string' },
        'expires-at': { type: 'string' },
        data: { type: 'string' }
      },
      { min: 1, max: 1 }
    )
    if (positionals[0] !== 'create') throw new UsageFault(`"${positionals[0]}" is not create`)
    if (values.scopes === undefined) throw new UsageFault('--scopes is missing')
    const scopes = values.scopes === 'all' ? Scope.options : words(values.scopes)
    for (const scope of scopes) {
      if (!(Scope.options as string[]).includes(scope)) {
        throw new UsageFault(`"${scope}" is no scope; there are: ${Scope.options.join(', ')}`)
      }
    }
    const body = ApiKeyCreate.safeParse({
      name: values.name ?? 'command line',
      scopes,
      ...(values['expires-at'] !== undefined && { expiresAt: values['expires-at'] })
    })
    if (!body.success)
      throw new UsageFault(body.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '))

    const config = readConfig({ ...io.env, ...(values.data !== undefined && { HONGYAN_DATA: values.data }) })
    const ground = await openGround(config, silentLog())
    try {
      const accounts = createAccounts({ ...ground, apiBase: config.apiBase, publicUrl: config.publicUrl })
      const ids = await Promise.all(words(values.accounts ?? '').map(async (id) => (await accounts.get(id)).id))
      const apiKeys = createApiKeys(ground)
      await apiKeys.ready()
      const created = await apiKeys.create({ ...body.data, accountIds: values.accounts === undefined ? null : ids })
      io.err(`key ${created.id} "${created.name}" with ${created.scopes.length} scope(s); shown only here:`)
      io.out(created.key)
      return 0
    } finally {
      await ground.close()
    }
  }
}

const words = (text: string): string[] =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
