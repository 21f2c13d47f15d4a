import { BRAND, SHOP } from '../../support/live-app.js'

/** The mini-program and the service account every sandbox begins with, to be connected. */
export const MINI = SHOP
export const SERVICE = { ...BRAND, kind: 'service' as const }
