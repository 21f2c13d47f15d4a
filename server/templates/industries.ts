import type { Collection } from 'mongodb'
import type { Account, Accounts } from '../accounts/accounts.js'
import { targetOf } from '../accounts/target.js'
import type { Clock } from '../platform/clock.js'
import { InvalidInput, LimitReached, type Fault } from '../platform/errors.js'
import { SHANGHAI_MS } from '../platform/shanghai.js'
import type { WechatApi } from '../wechat/api.js'
import type { Industry as IndustryNames } from '../wechat/shapes.js'
import { expectOk } from '../wechat/expect-ok.js'
import type { TemplateSyncRow } from './model.js'

/** One of the 41 industries service accounts choose from; `id` null: WeChat names one we do not know. */
export type Industry = { id: string | null; first: string; second: string }

export type Industries = {
  primary: Industry | null
  secondary: Industry | null
  /** When they were last set from here; null: never, or elsewhere. */
  setAt: Date | null
}

/** WeChat's numbers 1 to 41 in order (documentation of api_set_industry; the bar is how its answers spell a slash). */
const TABLE = `
IT科技:互联网|电子商务,IT科技:IT软件与服务,IT科技:IT硬件与设备,IT科技:电子技术,IT科技:通信与运营商,IT科技:网络游戏
金融业:银行,金融业:基金理财信托,金融业:保险,餐饮:餐饮,酒店旅游:酒店,酒店旅游:旅游
运输与仓储:快递,运输与仓储:物流,运输与仓储:仓储,教育:培训,教育:院校
政府与公共事业:学术科研,政府与公共事业:交警,政府与公共事业:博物馆,政府与公共事业:公共事业|非盈利机构
医药护理:医药医疗,医药护理:护理美容,医药护理:保健与卫生,交通工具:汽车相关,交通工具:摩托车相关,交通工具:火车相关,交通工具:飞机相关
房地产:建筑,房地产:物业,消费品:消费品,商业服务:法律,商业服务:会展,商业服务:中介服务,商业服务:认证,商业服务:审计
文体娱乐:传媒,文体娱乐:体育,文体娱乐:娱乐休闲,印刷:印刷,其它:其它`

/** All of them, for a picker. */
export const INDUSTRIES: readonly { id: string; first: string; second: string }[] = TABLE.trim()
  .split(/[,\n]/)
  .map((each, i) => {
    const [first = '', second = ''] = each.split(':')
    return { id: String(i + 1), first, second }
  })

/** The industries of a service account; they decide which numbered templates it may add. */
export function createIndustries({
  wechat,
  accounts,
  clock,
  syncs
}: {
  wechat: WechatApi
  accounts: Accounts
  clock: Clock
  syncs: Collection<TemplateSyncRow>
}) {
  async function serviceAccount(idOrAppId: string): Promise<Account> {
    const account = await accounts.get(idOrAppId)
    if (account.kind === 'service') return account
    throw new InvalidInput('only a service account has industries', { code: 'industries.kind' })
  }

  async function read(account: Account): Promise<Industries> {
    const setAt = (await syncs.findOne({ _id: account.id }))?.industriesSetAt ?? null
    const answer = await wechat.service.getIndustry(targetOf(account))
    // What an account that never chose is answered, by a developer's report.
    if (answer.kind === 'answer' && answer.errcode === 40102) return { primary: null, secondary: null, setAt }
    const { primary_industry, secondary_industry } = expectOk(answer)
    return { primary: known(primary_industry), secondary: known(secondary_industry), setAt }
  }

  return {
    /** As WeChat has them now. @throws InvalidInput unless it is a service account; UpstreamFailure */
    industries: async (idOrAppId: string): Promise<Industries> => read(await serviceAccount(idOrAppId)),

    /**
     * Chooses both. Those it has already cost nothing; else it is one change a month, and WeChat deletes the templates of
     * an industry that is left. @throws InvalidInput naming the field; LimitReached industries.once-a-month
     */
    async setIndustries(
      idOrAppId: string,
      { primary, secondary }: { primary: string; secondary: string }
    ): Promise<Industries> {
      const account = await serviceAccount(idOrAppId)
      const errors = industryFaults(primary, secondary)
      if (errors.length > 0) throw new InvalidInput(errors[0]!.message, { code: 'industries.invalid', errors })
      const now = await read(account)
      if (now.primary?.id === primary && now.secondary?.id === secondary) return now
      const answer = await wechat.service.setIndustry(targetOf(account), primary, secondary)
      if (answer.kind === 'answer' && answer.errcode === 43100) throw onceAMonth(now, clock.now(), answer.errmsg)
      expectOk<object>(answer)
      const setAt = clock.now()
      await syncs.updateOne(
        { _id: account.id },
        { $set: { industriesSetAt: setAt }, $setOnInsert: { triedAt: new Date(0), syncedAt: null, problem: null } },
        { upsert: true }
      )
      return { primary: byId(primary), secondary: byId(secondary), setAt }
    }
  }
}

/** What keeps two numbers from being a choice. */
export function industryFaults(primary: string, secondary: string) {
  const faults: Fault[] = []
  for (const [pointer, id] of [
    ['/primary', primary],
    ['/secondary', secondary]
  ] as const) {
    if (byId(id) !== null) continue
    const message = `an industry is a number from 1 to ${INDUSTRIES.length}`
    faults.push({ pointer, code: 'industries.unknown', message })
  }
  if (faults.length === 0 && primary === secondary) {
    const message = 'the two industries have to differ'
    faults.push({ pointer: '/secondary', code: 'industries.same', message })
  }
  return faults
}

function onceAMonth({ setAt, primary, secondary }: Industries, now: Date, errmsg: string): LimitReached {
  const next = nextMonth(now)
  const last = setAt === null ? '' : `, last from here at ${setAt.toISOString()}`
  const message =
    `WeChat lets an account change its industries once a month, and this month's change is used up${last}; ` +
    `what it has stays. Try again from ${next.toISOString()}`
  const facts = { errcode: 43100, errmsg, setAt, nextTryAt: next, primary, secondary }
  return new LimitReached(message, (next.getTime() - now.getTime()) / 1_000, { code: 'industries.once-a-month', facts })
}

/** The first instant of the next month where WeChat keeps its calendar; whether its months are others, it does not say. */
export function nextMonth(now: Date): Date {
  const there = new Date(now.getTime() + SHANGHAI_MS)
  return new Date(Date.UTC(there.getUTCFullYear(), there.getUTCMonth() + 1, 1) - SHANGHAI_MS)
}

const byId = (id: string): Industry | null => INDUSTRIES.find((each) => each.id === id) ?? null

/** Copies of the table spell `|`, `/` and 其它 differently. */
const spelling = (text: string) => text.replace(/[\s|/｜／]/g, '').replace('其他', '其它')

function known(names: IndustryNames | undefined): Industry | null {
  if (!names?.first_class && !names?.second_class) return null
  const { first_class: first, second_class: second } = names
  const same = INDUSTRIES.filter((each) => spelling(each.second) === spelling(second))
  const one = same.find((each) => spelling(each.first) === spelling(first)) ?? (same.length === 1 ? same[0] : undefined)
  return one ?? { id: null, first, second }
}
