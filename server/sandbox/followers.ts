import { isObject } from './values.js'
import { OK, reply, unionidOf, userOf, type Answer, type App, type Call, type User, type World } from './world.js'

const PAGE = 10_000
const BATCH = 100
const TAG_BATCH = 50
const BLACKLIST_PAGE = 1_000

/** Followers of a service account: lists, details, tags. */
export function createFollowers(world: World) {
  /** Openids that `wanted` accepts, at most `size`, after `next`; null when `next` is no user of the app. */
  function pageOf(app: App, next: unknown, size: number, wanted: (user: User) => boolean): string[] | null {
    const from = next === undefined || next === null || next === '' ? -1 : userOf(app, next)?.index
    if (from === undefined) return null
    const found: string[] = []
    for (let i = from + 1; i < app.userList.length && found.length < size; i++) {
      if (wanted(app.userList[i]!)) found.push(app.userList[i]!.openid)
    }
    return found
  }

  const listed = (openids: string[], extra: Record<string, number>): Answer =>
    openids.length === 0
      ? reply({ ...extra, count: 0, next_openid: '' })
      : reply({ ...extra, count: openids.length, data: { openid: openids }, next_openid: openids.at(-1) })

  function details(app: App, user: User): Record<string, unknown> {
    const unionid = unionidOf(world, app, user)
    const union = unionid === undefined ? {} : { unionid }
    if (!user.follows) return { subscribe: 0, openid: user.openid, ...union }
    return {
      subscribe: 1,
      openid: user.openid,
      language: 'zh_CN',
      subscribe_time: Math.floor(user.followedAt / 1000),
      ...union,
      remark: '',
      groupid: 0,
      tagid_list: [...user.tags],
      subscribe_scene: 'ADD_SCENE_QR_CODE',
      qr_scene: /^\d{1,9}$/.test(user.qrScene ?? '') ? Number(user.qrScene) : 0,
      qr_scene_str: /^\d{1,9}$/.test(user.qrScene ?? '') ? '' : (user.qrScene ?? '')
    }
  }

  /** Users by a list of openids; an Answer when the list is too long or holds a stranger. */
  function usersOf(app: App, openids: unknown, max: number): User[] | Answer {
    if (!Array.isArray(openids) || openids.length === 0 || openids.length > max) return world.fault(40097)
    const users = openids.map((openid) => userOf(app, openid))
    return users.includes(undefined) ? world.fault(40003) : (users as User[])
  }

  return {
    /** GET /cgi-bin/user/get: pages of 10,000 in order of arrival; without followers left, no `data`. */
    get({ app, query }: Call): Answer {
      const openids = pageOf(app, query.get('next_openid'), PAGE, (user) => user.follows)
      return openids === null ? world.fault(40003) : listed(openids, { total: app.followerCount })
    },

    /** GET /cgi-bin/user/info */
    info({ app, query }: Call): Answer {
      const openid = query.get('openid')
      if (openid === null || openid === '') return world.fault(41009)
      const user = userOf(app, openid)
      return user === undefined ? world.fault(40003) : reply(details(app, user))
    },

    /** POST /cgi-bin/user/info/batchget: at most 100. */
    batchGet({ app, body }: Call): Answer {
      const list: unknown = body.user_list
      const openids = Array.isArray(list) ? list.map((item) => (isObject(item) ? item.openid : undefined)) : undefined
      const users = usersOf(app, openids, BATCH)
      return Array.isArray(users) ? reply({ user_info_list: users.map((user) => details(app, user)) }) : users
    },

    /** POST /cgi-bin/tags/create */
    createTag({ app, body }: Call): Answer {
      const name: unknown = body.tag?.name
      if (typeof name !== 'string' || name.trim() === '' || [...app.tags.values()].includes(name))
        return world.fault(45157)
      if ([...name].length > 30) return world.fault(45158)
      const id = 100 + app.tags.size
      app.tags.set(id, name)
      return reply({ tag: { id, name } })
    },

    /** GET /cgi-bin/tags/get */
    tags: ({ app }: Call): Answer =>
      reply({
        tags: [...app.tags].map(([id, name]) => ({
          id,
          name,
          count: app.userList.filter((user) => user.tags.has(id)).length
        }))
      }),

    /** POST /cgi-bin/user/tag/get */
    tagged({ app, body }: Call): Answer {
      if (!app.tags.has(body.tagid)) return world.fault(45159)
      const openids = pageOf(app, body.next_openid, PAGE, (user) => user.tags.has(body.tagid))
      return openids === null ? world.fault(40003) : listed(openids, {})
    },

    /** POST /cgi-bin/tags/getidlist */
    tagsOf({ app, body }: Call): Answer {
      const user = userOf(app, body.openid)
      return user === undefined ? world.fault(40003) : reply({ tagid_list: [...user.tags] })
    },

    /** POST /cgi-bin/tags/members/batchtagging and batchuntagging: at most 50. */
    tagging({ app, body, path }: Call): Answer {
      if (!app.tags.has(body.tagid)) return world.fault(45159)
      const users = usersOf(app, body.openid_list, TAG_BATCH)
      if (!Array.isArray(users)) return users
      for (const user of users) path.endsWith('untagging') ? user.tags.delete(body.tagid) : user.tags.add(body.tagid)
      return OK
    },

    /** POST /cgi-bin/tags/members/getblacklist: those who refuse messages. */
    blacklist({ app, body }: Call): Answer {
      const openids = pageOf(app, body.begin_openid, BLACKLIST_PAGE, (user) => user.block === 'refuse')
      if (openids === null) return world.fault(40003)
      return listed(openids, { total: app.userList.filter((user) => user.block === 'refuse').length })
    }
  }
}
