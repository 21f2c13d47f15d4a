/** What an errcode is about, hence who has to hear of it. */
export type ErrcodeScope =
  | 'message' // this message (or request) is at fault; others go on
  | 'credential' // the right that was used is dead or not usable yet
  | 'person' // this recipient cannot or will not be reached
  | 'template' // every message of this template fails alike
  | 'interface' // this call is exhausted, closed or withheld for the account
  | 'account' // the account, its secret or its caller's address; nothing of it can be sent
  | 'token' // the access token is not valid (any more)
  | 'transient' // WeChat is busy; the same call helps later
  | 'login' // a phone's login code or session
  | 'management' // a call of the console (templates, industries, tags, authorisation), never of a send

/** When asking again can help: never, later, once with a new token, after a person repaired something, with another right. */
export type ErrcodeRetry = 'never' | 'later' | 'token' | 'afterFix' | 'newCredential'

export type ErrcodeRow = {
  code: number
  /** WeChat's own words, as far as they are known; they vary over the years. */
  text: string
  meaning: string
  scope: ErrcodeScope
  retry: ErrcodeRetry
  /** What the operator (or the programmer) does about it. */
  advice: string
}

/*
 * code | WeChat's words | meaning | scope | retry | advice
 *
 * Sources: WeChat's developer documentation (mini-program and official-account pages, copies of 2017 to 2026), its
 * global return-code page, and answers seen in its developer community. Codes of requestSubscribeMessage on the phone
 * (10001 to 20013) are listed too, because phones report them.
 */
const TABLE = String.raw`
-1 | system error | WeChat is busy | transient | later | nothing; it is sent again after a growing pause
0 | ok | accepted | message | never | nothing
10001 | TmplIds can't be empty | phone: no template id was asked for | template | never | pass at least one template id to requestSubscribe
10002 | Request list fail | phone: the network failed while the templates were read | transient | later | ask again at the next tap
10003 | Request subscribe fail | phone: the network failed while the choice was sent | transient | later | ask again at the next tap
10004 | Invalid template id | phone: a template id has the wrong type | template | never | pass template ids as strings
10005 | Cannot show subscribe message UI | phone: the mini-program was in the background | transient | later | ask again at the next tap
20001 | No template data return, verify the template id exist | phone: unknown template, another app's, or the wrong kind | template | afterFix | check the template id in the console
20002 | Templates type must be same | phone: one-time and long-term templates in one request | template | never | ask for one kind at a time
20003 | Templates count out of max bounds | phone: more template ids than one request may hold | template | never | ask for at most 3 (new clients: 5)
20004 | The main switch is switched off | phone: the user switched all subscribe messages off | person | never | guide the user to the settings page
20005 | This mini program was banned from subscribing messages | phone: the mini-program may not ask | account | afterFix | look at the notices in the WeChat console
20013 | Reject DeviceMsg Template | phone: device templates need another call | template | never | use another template
40001 | invalid credential, access_token is invalid or not latest | the token was replaced, or the secret is wrong | token | token | if it repeats: check the app secret, and that no other system fetches tokens of this account
40002 | invalid grant_type | the grant type is wrong | management | never | report it as a bug
40003 | invalid openid | not an openid of this account | person | never | check which account the openid belongs to
40013 | invalid appid | the appId is wrong; in a send: the mini-program is not linked to the service account | account | afterFix | check the appId, or link the mini-program in the WeChat console
40014 | invalid access_token | the token is malformed or dead | token | token | nothing; the token is fetched anew
40029 | invalid code | login code unknown, expired or of another app | login | newCredential | let the phone call wx.login again
40033 | invalid charset | escaped characters where WeChat wants them plain | message | never | report it as a bug
40035 | invalid argument | an argument is invalid | message | never | check the request
40036 | invalid template_id size | the template id has the wrong length | template | afterFix | choose the template again
40037 | invalid template_id | the template was deleted, withdrawn, or belongs to another feature | template | afterFix | synchronise the templates and choose one that exists
40039 | invalid url size | the link is too long | message | never | shorten the link
40048 | invalid url domain | the link's domain is not allowed | message | afterFix | use a registered domain
40066 | invalid url | the link or the path of the call is invalid | message | never | fix the link
40097 | invalid args | arguments are invalid | message | never | check the request
40102 | invalid industry id | industry unknown, or both the same, or none set yet | management | never | choose two different industries
40125 | invalid appsecret | the app secret is wrong | account | afterFix | enter the secret again; after a reset the old one is void
40129 | invalid scene | content check: unknown scene | management | never | report it as a bug
40132 | invalid username | a WeChat name is invalid | person | never | drop the receiver
40163 | code been used | the login code was used before | login | newCredential | let the phone call wx.login again
40164 | invalid ip, not in whitelist | this server's address is not on the account's white list | account | afterFix | add the address to the IP white list in the WeChat console
40165 | invalid weapp pagepath | the mini-program page of the link is invalid | message | never | fix the page path
40166 | invalid weapp appid | the mini-program of the link is invalid | message | afterFix | check the linked mini-program's appId
40226 | code blocked | WeChat holds this user for high-risk | login | never | refuse the login
40241 | duplicate message within 60 seconds | the same message went to this person within 60 s | message | never | nothing; it was sent before
40243 | AppSecret is frozen | the owner froze the secret | account | afterFix | unfreeze or reset the secret in the WeChat console
40246 | invalid keyword_name_list | keyword names empty or unknown | management | never | choose keywords from the library entry
40249 | content illegal | the content was blocked | message | afterFix | review the text of this template
41001 | access_token missing | no token in the query | token | never | report it as a bug
41002 | appid missing | no appId in the request | account | afterFix | check the account's appId
41004 | appsecret missing | no secret in the request | account | afterFix | enter the account's secret
41008 | missing code | no login code in the request | login | newCredential | let the phone call wx.login
41009 | missing openid | no openid in the request | message | never | report it as a bug
41028 | invalid form id | the formId or prepay_id is wrong, foreign, expired, unpaid or not yet known to WeChat | credential | newCredential | nothing; another right is taken
41029 | form id used count reach limit | the formId or prepay_id is used up | credential | newCredential | if it repeats: check that no other system sends with this account's formIds
41030 | invalid page | the page is not in the released version, or starts with a slash | message | afterFix | fix the page path, or release the version that has it
41031 | the form id have been blocked! | this formId is blocked | credential | newCredential | read the penalty notice in the WeChat console
41032 | not allow to send message with submitted form id, for punishment | the account may not use formIds for now | interface | afterFix | read the penalty notice; payments may still work
41034 | not allow to send message with submitted form id, for punishment | the account may not use formIds for now | interface | afterFix | read the penalty notice; payments may still work
41035 | not allow to send message with prepay id, for punishment | the account may not use prepay_ids for now | interface | afterFix | read the penalty notice; forms may still work
42001 | access_token expired | the token is too old | token | token | nothing; the token is fetched anew
42002 | refresh_token expired | the authorisation has run out | account | afterFix | let the account's administrator authorise again
42007 | tokens void after password change | the authorisation was voided by a password change | account | afterFix | let the account's administrator authorise again
43001 | require GET method | the call wants GET | management | never | report it as a bug
43002 | require POST method | the call wants POST (not a frequency limit, as an article says) | management | never | report it as a bug
43003 | require https | the call wants HTTPS | account | afterFix | check the account's API address
43004 | require subscribe | the person does not follow the service account | person | newCredential | nothing; the person is marked until they follow again
43005 | require friend relation | the person is out of reach | person | never | skip this receiver
43019 | receiver is in blacklist | the account black-listed this person | person | afterFix | remove the person from the account's black list
43100 | change template too frequently | templates or industries were changed too often (industries: once a month) | management | later | wait; industries until next month
43101 | user refuse to accept the msg | the person has no subscription of this template left, or refuses messages | credential | newCredential | ask for the subscription again at a fitting moment
43102 | not a subscription template | the template is of another kind | template | afterFix | choose a subscription template
43104 | this appid does not have permission | the appId lacks the permission, or the openid is another app's | account | afterFix | check the account's permissions
43106 | not allow to add template, for punishment | the account may not add templates for now | management | afterFix | read the penalty notice in the WeChat console
43108 | Cannot make concurrent calls to the same OpenID | two sends to one person at the same instant | transient | later | nothing; it is sent again after a short pause
43116 | template_id banned | the template was banned | template | afterFix | stop using this template
43117 | too frequent to this openid | this person got too many messages | person | later | send this person less
43302 | require POST method | content check: the call wants POST | management | never | report it as a bug
44002 | empty post data | the body was empty | message | never | report it as a bug
45009 | reach max api daily quota limit | the day's quota of this call is used up | interface | later | wait for 00:00 Asia/Shanghai, or clear the quota (10 times a month)
45011 | api minute-quota reach limit, mustslower retry next minute | too many calls this minute | transient | later | nothing; it is slowed down
45012 | template size out of limit | the message is too long | message | never | shorten the content
45015 | response out of time limit | customer-service window closed | message | never | use another channel
45026 | template num exceeds limit | too many templates on the account | management | afterFix | delete templates that are not used
45027 | template conflict with industry | the template is not of the account's industries | management | afterFix | choose another template or change the industry
45029 | qrcode count out of limit | too many QR codes (one SDK ties it to sends) | interface | later | treat it as a used-up quota
45035 | access clientip is not registered | this server's address is not registered | account | afterFix | register the address in the WeChat console
45047 | out of response count limit | too many customer-service messages | message | never | use another channel
45065 | clientmsgid exist | mass send: the same clientmsgid again | message | never | nothing; it was sent before
45066 | same clientmsgid retry too fast | mass send: repeated too soon | message | later | wait before repeating
45067 | clientmsgid size out of limit | mass send: the clientmsgid is too long | message | never | report it as a bug
45075 | invalid keyword id | a keyword id is not of this library entry | management | never | choose keywords from the library entry
45100 | invalid size of keyword_id_list | no keyword, or more than 10 | management | never | choose 1 to 10 keywords
45102 | api is temporarily blocked | the call is blocked for the account for a while | interface | afterFix | read the penalty notice; tried again daily
45103 | This API has been unsupported | WeChat closed this call | interface | afterFix | use subscribe messages
45109 | This API has been unsupported | WeChat closed this call | interface | afterFix | use subscribe messages
45157 | invalid tag name | the tag's name is invalid or taken | management | never | choose another name
45158 | tag name too long | the tag's name is too long | management | never | choose a shorter name
45159 | invalid tag id | no such tag | management | never | read the tags again
45168 | keyword in blacklist | a value holds a forbidden word | message | afterFix | change the text
46101 | this api have been not supported since 2020-01-11 00:00:00, please use new api(subscribeMessage)! | WeChat closed legacy template messages for this account | interface | afterFix | use subscribe messages
47001 | data format error | the body was not understood | message | never | report it as a bug
47002 | data format error, escaped characters | escaped characters where WeChat wants them plain | message | never | report it as a bug
47003 | argument invalid! | a value breaks its type's rule or is missing; the text names the field | message | afterFix | fix or shorten the value of the named field
48001 | api unauthorized | the account lacks this call, or the token is of another kind of app | account | afterFix | check the account's verification and kind
48002 | user block receive message | the person refuses messages of the account | person | newCredential | nothing; the person is marked until they interact again
48004 | api forbidden for irregularities | the call was taken away for abuse | account | afterFix | read the penalty notice in the WeChat console
48006 | forbid to clear quota because of reaching the limit | quota clearing is used up for this month | management | later | wait for next month
48011 | disabled template id | the template was disabled | template | afterFix | choose another template
49003 | openid does not match appid | the openid is another app's | person | never | check which account the openid belongs to
50001 | api unauthorized or user unauthorized | the grant for this call is missing | account | afterFix | check the account's authorisation
50002 | user limited | the person's account (or this one) is restricted | person | never | skip this receiver
50004 | forbid to use token | the account may not use tokens, as a penalty | account | afterFix | read the penalty notice in the WeChat console
50005 | user is unsubscribed | the person no longer follows | person | newCredential | nothing; the person is marked until they follow again
50007 | | the account is frozen (remembered by some, told by no document) | account | afterFix | look at the notices in the WeChat console
61003 | component is not authorized by this account | the account withdrew its authorisation | account | afterFix | let the account's administrator authorise again
61004 | access clientip is not registered | this server's address is not registered with the platform | account | afterFix | register the address with the platform
61005 | component ticket is expired | the platform's ticket is too old | account | later | check that the platform's event address is reachable
61006 | component ticket is invalid | the platform's ticket is wrong | account | later | check that the platform's event address is reachable
61007 | api is unauthorized to component | the account did not grant the permission set of this call | account | afterFix | let the account's administrator grant the missing permission set
61008 | component req key is duplicated | platform: the request key was used twice | management | never | report it as a bug
61009 | code is invalid | platform: the authorization code is invalid | management | newCredential | start the authorisation again
61010 | code is expired | platform: the authorization code expired; content check: the person was not active lately | management | newCredential | start again while the person is there
61011 | invalid component | the platform's appId is wrong | account | afterFix | check the platform's settings
61014 | must use component token | the platform's own token is needed | management | never | report it as a bug
61015 | must use account token | the account's token is needed | management | never | report it as a bug
61016 | function category need confirm | a permission set waits for confirmation | account | afterFix | let the account's administrator confirm the permission set
61017 | function category not authorized | a permission set was not granted | account | afterFix | let the account's administrator authorise again
61023 | refresh_token is invalid | the authorisation's refresh token is wrong | account | afterFix | let the account's administrator authorise again
61024 | component is must use api_component_token | a platform's app must use the platform's token call | account | afterFix | check what kind of app this is
61028 | component is unpublished | the platform was not published yet | account | afterFix | publish the platform, or add the account to its test list
76001 | rid not found | no call with this rid | management | never | check the rid
76002 | rid is malformed | the rid is not well-formed | management | never | check the rid
76003 | rid does not belong to this account | rid of another account, or a malformed path | management | never | check the rid or the path
76004 | rid is expired | the call is older than 7 days | management | never | nothing; it is too late
76021 | cgi_path not found | no such path | management | never | check the path
76022 | could not use this cgi_path | the token's account does not own this path | management | never | check the path
85107 | | seen in one list without a meaning | message | never | look the rid up in the WeChat console
87007 | session_key is not existed or expired | the phone's session is gone | login | newCredential | let the phone call wx.login again
87008 | invalid sig_method | session check: wrong signature method | login | never | report it as a bug
87009 | invalid signature | session check: wrong signature | login | newCredential | let the phone call wx.login again
87014 | risky content | the content check found the text illegal | message | afterFix | change the text
89501 | ip confirmation pending | the administrator has not answered an earlier question about this server's address | account | later | let the administrator confirm, or put the address on the white list
89503 | ip needs confirmation | the administrator was asked about this server's address | account | later | let the administrator confirm, or put the address on the white list
89506 | ip refused for 24 hours | the administrator refused this server's address | account | later | put the address on the white list
89507 | ip refused for 1 hour | the administrator refused this server's address | account | later | put the address on the white list
200002 | invalid parameter | a parameter is wrong or missing | management | never | check the request
200011 | account banned | the account is banned from subscribe templates | account | afterFix | read the penalty notice in the WeChat console
200012 | template num exceeds limit | too many subscribe templates on the account | management | afterFix | delete templates that are not used
200013 | template banned | this template is banned | template | afterFix | choose another template
200014 | invalid tid | the library entry does not exist | management | never | choose an entry of the library
200016 | invalid start | the page's start is wrong | management | never | check the request
200017 | invalid limit | the page's size is wrong | management | never | check the request
200018 | missing ids | no category ids | management | never | choose at least one category
200019 | invalid ids | category ids are wrong | management | never | choose categories the account has
200020 | invalid kidList | the keyword ids are wrong | management | never | choose 2 to 5 keywords of the entry
200021 | invalid sceneDesc | the scene description is wrong | management | never | use at most 15 characters
1119003 | | reported once for a service-account send, meaning unknown | message | never | look the rid up in the WeChat console
1119004 | | reported once for a service-account send, meaning unknown | message | never | look the rid up in the WeChat console
`

/** Every errcode the facts know of, in the table's order. */
export const ERRCODES: readonly ErrcodeRow[] = TABLE.trim().split('\n').map(readRow)

const BY_CODE = new Map(ERRCODES.map((row) => [row.code, row]))

/** What an errcode means; undefined for one nobody has described: stop the message, quarantine the right, tell someone. */
export function errcodeRow(code: number): ErrcodeRow | undefined {
  return BY_CODE.get(code)
}

/** Whether the answer says "your token is no good": worth exactly one repeat with a newer token. */
export function isTokenErrcode(code: number): boolean {
  return code === 40001 || code === 42001 || code === 40014
}

function readRow(line: string): ErrcodeRow {
  const [code = '', text = '', meaning = '', scope = '', retry = '', advice = ''] = line.split('|').map((s) => s.trim())
  return { code: Number(code), text, meaning, scope: scope as ErrcodeScope, retry: retry as ErrcodeRetry, advice }
}
