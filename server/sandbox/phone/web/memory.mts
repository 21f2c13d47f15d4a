import type { Word } from './subscriptions.mjs'

const HEAD = 'hongyan-phone:'

/** What WeChat, not the mini-program, remembers of a person. */
export interface Settings {
  mainSwitch: boolean
  kept: Record<string, Word>
}

/** What stays on one person's phone for one app: the mini-program's storage, and WeChat's own settings beside it. */
export function createMemory(appid: string, openid: string) {
  const head = `${HEAD}${appid}:${openid}:`
  const own = `${head}settings`
  const nameOf = (key: string) => `${head}storage:${key}`
  const mine = () => Object.keys(localStorage).filter((name) => name.startsWith(nameOf('')))

  const read = (): Settings => ({ mainSwitch: true, kept: {}, ...JSON.parse(localStorage.getItem(own) ?? '{}') })
  return {
    get(key: string): unknown {
      const text = localStorage.getItem(nameOf(key))
      return text === null ? '' : JSON.parse(text).data
    },
    /** @throws Error in WeChat's words when the phone is full */
    set(key: string, data: unknown): void {
      try {
        localStorage.setItem(nameOf(key), JSON.stringify({ data }))
      } catch {
        throw new Error('setStorageSync:fail exceed storage max size 10Mb')
      }
    },
    remove: (key: string) => localStorage.removeItem(nameOf(key)),
    keys: () => mine().map((name) => name.slice(nameOf('').length)),
    clear: () => mine().forEach((name) => localStorage.removeItem(name)),
    settings: read,
    change: (some: Partial<Settings>) => localStorage.setItem(own, JSON.stringify({ ...read(), ...some }))
  }
}
export type Memory = ReturnType<typeof createMemory>
