import { HOUR_MS, MINUTE_MS, DAY_MS, on } from './story.js'
import type { Actor, AppName, Deed, HandedIn, TemplateName } from './story.js'

/** Who plays in the story, act by act: a few people of each kind of fate. */

type Deeds = Actor['deeds']
const MORNING = on(1, '09:30')
const NOON_POST = on(1, '11:00')

const at = (when: number, deed: Deed): Deeds[number] => ({ at: when, ...deed })
const hand = (when: number, source: HandedIn['source'], more: Partial<HandedIn> = {}): Deeds[number] =>
  at(when, { does: 'hand in', app: 'shop', source, ...more })
const grants = (when: number, app: AppName, template: TemplateName, times = 1) =>
  hand(when, 'grant', { app, template, times })
const event = (when: number, name: string, happened: number, properties: Record<string, string | number | boolean>) =>
  at(when, { does: 'event', name, happened, properties })
const form = hand(MORNING, 'form')
const instant = (ms: number) => new Date(ms).toISOString()

type Role = { about: string; apps?: AppName[]; attributes?: Actor['attributes']; deeds: Deeds }

/** One campaign at 10:00 to those of 上海 who are 18 or older: what opens and shuts the way to a person. */
const once = (): Role[] => {
  const here = { city: '上海', age: 30, name: '小雁' }
  const meets = (about: string, deeds: Deeds, more: Partial<Role> = {}): Role => ({
    about,
    attributes: here,
    deeds,
    ...more
  })
  return [
    meets('a form of this morning', [form]),
    meets('a paid order', [hand(MORNING, 'payment')]),
    meets('a form and an order', [form, hand(MORNING, 'payment')]),
    meets('a form of six days ago', [hand(MORNING, 'form', { caughtAt: on(-5, '12:00') })]),
    meets('a form that dies in five minutes', [hand(MORNING, 'form', { caughtAt: on(-6, '10:05') })]),
    meets('a form of eight days ago', [hand(MORNING, 'form', { caughtAt: on(-7, '09:00') })]),
    meets('no right', []),
    meets('a grant, which is no right for this template', [grants(MORNING, 'shop', 'pickup')]),
    meets('wants nothing', [form, at(MORNING, { does: 'opt out', topic: null })]),
    meets('wants no offers', [form, at(MORNING, { does: 'opt out', topic: 'offers' })]),
    meets('wants no news, which this is not', [form, at(MORNING, { does: 'opt out', topic: 'news' })]),
    meets('changed their mind', [
      form,
      at(MORNING, { does: 'opt out', topic: 'offers' }),
      at(MORNING, { does: 'opt in', topic: 'offers' })
    ]),
    meets('never used the shop', [], { apps: ['clinic'] }),
    meets('has no name to be called by', [form], { attributes: { city: '上海', age: 40 } }),
    meets('lives in 北京', [form], { attributes: { ...here, city: '北京' } }),
    meets('is 17', [form], { attributes: { ...here, age: 17 } }),
    meets('is of no known age', [form], { attributes: { city: '上海', name: '小雁' } })
  ]
}

/** Four bulk messages in one afternoon and some that are not bulk: three a day. */
const caps = (): Role[] => {
  const roles: Role[] = []
  for (let forms = 0; forms <= 5; forms++) {
    for (let orders = 0; orders <= 3; orders++) {
      const deeds: Deeds = []
      if (forms > 0) deeds.push(hand(MORNING, 'form', { times: forms }))
      if (orders > 0) deeds.push(grants(MORNING, 'shop', 'pickup', orders))
      for (let n = 0; n < orders; n++) {
        const when = [on(1, '13:00'), on(1, '14:30'), on(1, '15:30')][n]!
        deeds.push(event(when, 'order_shipped', when, { code: `8-${n}`, place: '东门柜机' }))
      }
      roles.push({ about: `${forms} forms, ${orders} parcels`, deeds })
    }
  }
  return roles
}

/** 22:30 in Shanghai, which is night only for some. */
const quiet = (): Role[] => {
  const evening = on(1, '17:00')
  const fresh = hand(evening, 'form', { times: 3 })
  const inZone = (zone: string, about: string): Role => ({ about, attributes: { zone }, deeds: [fresh] })
  return [
    { about: 'lives where the account is', deeds: [fresh] },
    inZone('Asia/Shanghai', 'lives in Shanghai'),
    inZone('Europe/London', 'lives in London: 14:30'),
    inZone('America/New_York', 'lives in New York: 09:30'),
    inZone('Asia/Tokyo', 'lives in Tokyo: 23:30, whose morning comes an hour sooner'),
    inZone('Australia/Sydney', 'lives in Sydney: 01:30'),
    {
      about: 'has one right, which dies at 03:30',
      deeds: [hand(evening, 'form', { caughtAt: on(-5, '03:30') })]
    },
    {
      about: 'has two rights, one of which dies at 03:30',
      deeds: [hand(evening, 'form', { caughtAt: on(-5, '03:30') }), hand(evening, 'form')]
    },
    { about: 'has none', deeds: [] },
    { about: 'says no during the night', deeds: [fresh, at(on(2, '07:00'), { does: 'opt out', topic: null })] },
    {
      about: 'has a parcel that comes at night',
      deeds: [
        fresh,
        grants(evening, 'shop', 'pickup'),
        event(on(1, '22:30'), 'order_shipped', on(1, '22:30'), { code: '8-9', place: '东门柜机' })
      ]
    }
  ]
}

/** A reminder an hour before: kept, moved, called off. */
const appointments = (): Role[] => {
  const granted = grants(MORNING, 'clinic', 'booking', 3)
  const booked = (startsAt: string, id = 'b1', when = NOON_POST) =>
    event(when, 'booked', when - 5 * MINUTE_MS, { bookingId: id, startsAt, doctor: '林医生' })
  const cancelled = (when: number, id = 'b1') => event(when, 'booking_cancelled', when - MINUTE_MS, { bookingId: id })
  const three = instant(on(1, '15:00'))
  const role = (about: string, ...deeds: Deeds): Role => ({ about, apps: ['clinic'], deeds: [granted, ...deeds] })
  return [
    role('comes at 15:00', booked(three)),
    role('moved it to 16:30', booked(three), booked(instant(on(1, '16:30')), 'b1', on(1, '11:45'))),
    role('moved it to 13:00', booked(three), booked(instant(on(1, '13:00')), 'b1', on(1, '11:45'))),
    role('called it off', booked(three), cancelled(on(1, '11:45'))),
    role('called it off after being reminded', booked(three), cancelled(on(1, '14:30'))),
    role('called off another one', booked(three), cancelled(on(1, '11:45'), 'b2')),
    role('has two', booked(three), booked(instant(on(1, '16:30')), 'b2', on(1, '11:15'))),
    role('booked 40 minutes ahead', booked(instant(on(1, '11:40')))),
    role('booked what is over', booked(instant(on(1, '10:30')))),
    role('booked for no moment anybody can read', booked('soon')),
    { about: 'granted nothing', apps: ['clinic'], deeds: [booked(three)] },
    { about: 'came without the mini-program', apps: ['shop'], deeds: [booked(three)] }
  ]
}

/** Two hours after signing up: once for ever, or of several the newest. */
const signups = (): Role[] => {
  const granted = grants(MORNING, 'shop', 'pickup', 6)
  const signs = (when: number, plan: string, backMs = MINUTE_MS) =>
    event(when, 'signed_up', when - backMs, { plan, seats: 3 })
  const first = signs(NOON_POST, 'pro')
  const role = (about: string, ...deeds: Deeds): Role => ({ about, deeds: [granted, ...deeds] })
  return [
    role('signs up', first),
    role('signs up for what nobody asked', signs(NOON_POST, 'free')),
    role('signs up again while it waits', first, signs(on(1, '11:45'), 'pro')),
    role('signs up again when it is told', first, signs(on(1, '14:30'), 'pro')),
    role('signs up again the next day', first, signs(on(2, '10:00'), 'pro')),
    role('told of an hour late', signs(NOON_POST, 'pro', HOUR_MS)),
    role('told of a day late', signs(NOON_POST, 'pro', DAY_MS + 3 * HOUR_MS))
  ]
}

/** An order above 100 that is not paid for within half an hour. */
const unpaid = (): Role[] => {
  const granted = grants(MORNING, 'shop', 'pickup', 4)
  const ordered = (id = 'o1', more: Partial<{ when: number; happened: number; amount: number }> = {}) => {
    const { when = NOON_POST, happened = on(1, '10:55'), amount = 100 } = more
    return event(when, 'order_placed', happened, { orderId: id, amount })
  }
  const paid = (when: string, happened: string, id = 'o1') =>
    event(on(1, when), 'order_paid', on(1, happened), { orderId: id })
  const role = (about: string, ...deeds: Deeds): Role => ({ about, deeds: [granted, ...deeds] })
  return [
    role('never pays', ordered()),
    role('pays', ordered(), paid('11:15', '11:05')),
    role('pays in the last minute', ordered('o1', { happened: NOON_POST }), paid('11:30', '11:29')),
    role('pays another order', ordered(), paid('11:15', '11:05', 'o2')),
    role('pays a minute too late', ordered(), paid('11:30', '11:26')),
    role('paid in time, told when it was too late', ordered(), paid('11:45', '11:20')),
    role('pays before the order is told of', paid('11:00', '10:58'), ordered('o1', { when: on(1, '11:15') })),
    role('orders for 99', ordered('o1', { amount: 99 })),
    role('orders twice', ordered(), ordered('o2', { when: on(1, '11:15'), happened: on(1, '11:10') })),
    role(
      'is told of twice, the newer counts',
      ordered(),
      ordered('o1', { when: on(1, '11:15'), happened: on(1, '11:10') })
    ),
    role(
      'orders again and pays that',
      ordered(),
      ordered('o1', { when: on(1, '11:15'), happened: on(1, '11:10') }),
      paid('11:30', '11:20')
    ),
    { about: 'has no right', deeds: [ordered()] }
  ]
}

/** Waits for a right from 14:00 to 16:50. */
const parking = (): Role[] => {
  const comes = (when: string, about: string): Role => ({
    about,
    apps: ['clinic'],
    deeds: [grants(on(1, when), 'clinic', 'booking')]
  })
  return [
    comes('09:30', 'has a right'),
    comes('14:30', 'gives one at 14:30'),
    comes('16:00', 'gives one at 16:00'),
    comes('17:00', 'gives one at 17:00, after the deadline'),
    { about: 'gives none', apps: ['clinic'], deeds: [] },
    {
      about: 'says no while it waits',
      apps: ['clinic'],
      deeds: [at(on(1, '14:30'), { does: 'opt out', topic: null }), grants(on(1, '16:00'), 'clinic', 'booking')]
    }
  ]
}

/** Followers of the service account: each day at 11:00, and four more on Monday afternoon. */
const followers = (): Role[] => {
  const follow = at(MORNING, { does: 'follow' })
  const role = (about: string, ...deeds: Deeds): Role => ({ about, apps: ['service'], deeds })
  return [
    role('follows', follow),
    role('follows and taps the menu', follow, at(MORNING, { does: 'tap the menu' })),
    role('follows and writes on Tuesday', follow, at(on(2, '10:00'), { does: 'write' })),
    role('does not follow'),
    role('follows and leaves', follow, at(on(1, '10:00'), { does: 'leave' })),
    role('leaves on Tuesday', follow, at(MORNING, { does: 'write' }), at(on(2, '10:00'), { does: 'leave' })),
    role('left, and nobody was told', follow, at(on(1, '10:00'), { does: 'leave silently' })),
    role('follows again', follow, at(on(1, '10:00'), { does: 'leave' }), at(on(2, '10:00'), { does: 'follow' })),
    role(
      'blocks the account',
      follow,
      at(MORNING, { does: 'write' }),
      at(MORNING, { does: 'block', app: 'service', how: 'drop' })
    ),
    role(
      'blocks it and comes back',
      follow,
      at(MORNING, { does: 'write' }),
      at(MORNING, { does: 'block', app: 'service', how: 'drop' }),
      at(on(2, '10:00'), { does: 'block', app: 'service', how: 'none' }),
      at(on(2, '10:00'), { does: 'write' })
    )
  ]
}

/** A direct message that tries the clinic, then the shop, then the service account. */
const fallbacks = (): Role[] => {
  const when = on(1, '15:30')
  const all: AppName[] = ['clinic', 'shop', 'service']
  const chain = [
    { app: 'shop', template: 'shipped' },
    { app: 'service', template: 'brand' }
  ] as const
  const sent = at(when, {
    does: 'direct',
    reference: 'direct',
    app: 'clinic',
    template: 'booking',
    lane: 'transactional',
    lifeMs: HOUR_MS,
    fallback: [...chain]
  })
  const granted = grants(MORNING, 'clinic', 'booking')
  const refuses = at(MORNING, { does: 'block', app: 'clinic', how: 'refuse' })
  const follow = at(MORNING, { does: 'follow' })
  const role = (about: string, deeds: Deeds, apps = all): Role => ({ about, apps, deeds: [...deeds, sent] })
  return [
    role('granted it', [granted, form, follow]),
    role('has only a form', [form, follow]),
    role('has only the service account', [follow]),
    role('has nothing', []),
    role('granted it and switched it off', [granted, refuses, form]),
    role('switched it off, and has no form', [granted, refuses, follow]),
    role('left the service account, and nobody was told', [follow, at(on(1, '10:00'), { does: 'leave silently' })]),
    role('does not use the shop', [follow], ['clinic', 'service'])
  ]
}

/** Whoever is written to by a campaign that had to be tried out first. */
const ladder = (): Role[] => {
  const when = on(3, '14:00')
  const follow = at(when, { does: 'follow' })
  const role = (about: string, ...deeds: Deeds): Role => ({ about, apps: ['service'], deeds })
  return [
    role('follows', follow),
    role('follows and writes', follow, at(when, { does: 'write' })),
    role('does not follow'),
    role('wants nothing', follow, at(when, { does: 'opt out', topic: null })),
    { about: 'does not know the account', apps: ['clinic'], deeds: [] }
  ]
}

const patient = (...deeds: Deeds): Role => ({
  about: 'granted visits for good',
  apps: ['clinic'],
  deeds: [grants(on(3, '11:00'), 'clinic', 'visit'), ...deeds]
})
/** A template WeChat refuses so often that it stops by itself … */
const refused = (): Role[] => [
  {
    ...patient(at(on(3, '11:00'), { does: 'fail', app: 'clinic', code: 40037 })),
    about: 'cannot be sent this template'
  }
]
/** … and whoever is written to next with it. */
const breaker = (): Role[] => [patient()]

const ACTS: Record<string, { roles: () => Role[]; each: number }> = {
  once: { roles: once, each: 3 },
  caps: { roles: caps, each: 2 },
  quiet: { roles: quiet, each: 3 },
  appointments: { roles: appointments, each: 3 },
  signups: { roles: signups, each: 4 },
  unpaid: { roles: unpaid, each: 3 },
  parking: { roles: parking, each: 5 },
  followers: { roles: followers, each: 4 },
  fallbacks: { roles: fallbacks, each: 4 },
  ladder: { roles: ladder, each: 3 },
  refused: { roles: refused, each: 15 },
  breaker: { roles: breaker, each: 12 }
}

/** Everybody, several of each role. */
export function castOf(): Actor[] {
  const cast: Actor[] = []
  for (const [act, { roles, each }] of Object.entries(ACTS)) {
    for (const [place, role] of roles().entries()) {
      for (let n = 0; n < each; n++) {
        const { about, apps = ['shop'], attributes = {}, deeds } = role
        cast.push({ name: `${act}-${place + 1}.${n + 1}`, act, about, apps, attributes, deeds })
      }
    }
  }
  return cast
}
