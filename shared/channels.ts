import type { AccountKind } from './account.js'
import type { TemplateKind } from './template.js'

/** The ways of sending, and so the kinds of template, that an account of each kind has. No values imported: pages load this. */
export const CHANNELS: Readonly<Record<AccountKind, readonly TemplateKind[]>> = {
  miniprogram: ['legacy', 'subscribe'],
  service: ['service']
}
