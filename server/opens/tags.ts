import { timingSafeEqual } from 'node:crypto'
import type { Open } from '../../shared/template.js'
import type { Sealer } from '../platform/sealing.js'

const SIGNATURE_CHARACTERS = 8

/** Where a tap leads once the message's tag is on it; what WeChat is given. */
export type Lead = {
  page: string | undefined
  miniprogram: { appId: string; page?: string | undefined } | undefined
  url: string | undefined
}

export type Tags = ReturnType<typeof createTags>

/**
 * The tags that messages carry to where they lead, so that an open can be told: `hytag` in the query of a mini-program's
 * page, and `/o/{tag}` of this server in front of a url. 31 characters; only holders of the key can make one.
 */
export function createTags({ sealer, publicUrl }: { sealer: Sealer; publicUrl?: string | undefined }) {
  const redirects = publicUrl === undefined ? null : { base: `${publicUrl}/o/`, local: isLoopback(publicUrl) }

  const tagOf = (messageId: string) => `${messageId}.${sealer.hash('tag', messageId).slice(0, SIGNATURE_CHARACTERS)}`

  return {
    tagOf,

    /** The message a tag was made for; null when we did not make it. */
    idOf(tag: string): string | null {
      const id = tag.slice(0, Math.max(0, tag.lastIndexOf('.')))
      return same(tag, tagOf(id)) ? id : null
    },

    /**
     * What is sent in place of what a message opens. A url is left alone where nothing would lead a phone back here:
     * this server has no address of its own yet, and the account is a real one.
     */
    lead(message: { _id: string; open: Open | null }, mode: 'live' | 'sandbox'): Lead {
      const { page, miniprogram, url } = message.open ?? {}
      const tag = tagOf(message._id)
      const app =
        miniprogram?.page === undefined ? miniprogram : { ...miniprogram, page: withTag(miniprogram.page, tag) }
      const through = redirects !== null && (mode === 'sandbox' || !redirects.local)
      return {
        page: page === undefined ? undefined : withTag(page, tag),
        miniprogram: app,
        url: url !== undefined && through && isWeb(url) ? `${redirects.base}${tag}` : url
      }
    }
  }
}

/** Is this a link a browser may be sent to? */
export const isWeb = (url: string): boolean => /^https?:\/\//i.test(url)

const withTag = (page: string, tag: string) => `${page}${page.includes('?') ? '&' : '?'}hytag=${tag}`

function same(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function isLoopback(url: string): boolean {
  const { hostname } = new URL(url)
  return hostname === 'localhost' || hostname === '[::1]' || hostname === '0.0.0.0' || /^127\./.test(hostname)
}
