import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { readConfig, VARIABLES } from '../../server/config.js'
import { run } from '../server/commands/run.js'
import { fileOf, ROOT } from '../support/root.js'

/*
 * There is no docker where this runs: what an image or a cluster would be told is read, and each word of ours in it is held
 * against the program. That the image builds has to be seen where docker is.
 */

const KNOWN = new Set(VARIABLES.map(({ name }) => name))
const scripts: Record<string, string> = JSON.parse(fileOf('package.json')).scripts
const config = readConfig({}, { terminal: false })
/** A stop is ended by force after this; whoever stops a process has to wait longer. */
const FORCED_AFTER_S = Number(/STOP_MS = (\d+)_000/.exec(fileOf('server/commands/serve.ts'))![1])

/** A Dockerfile's instructions; continued lines are one. */
const instructions = fileOf('Dockerfile')
  .replace(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => /^[A-Z]+ /.test(line))
  .map((line) => ({ word: line.slice(0, line.indexOf(' ')), rest: line.slice(line.indexOf(' ') + 1).trim() }))
const of = (word: string) => instructions.filter((each) => each.word === word).map(({ rest }) => rest)

/** A command line there is: its command, and each of its flags. */
async function isCommand(t: Test, argv: string[]): Promise<void> {
  const [name = ''] = argv
  const { code, out } = await run([name, '--help'])
  t.equal(code, 0, `hongyan ${name}`)
  for (const flag of argv.filter((word) => word.startsWith('--'))) {
    t.ok(out.includes(flag) || name === 'sandbox', `${flag} of hongyan ${name}`)
  }
}

t.test('the Dockerfile', async (t) => {
  t.test('copies what is there, and what .dockerignore lets through', async (t) => {
    const letThrough = new Set(
      fileOf('.dockerignore')
        .split('\n')
        .filter((line) => line.startsWith('!'))
        .map((line) => line.slice(1))
    )
    for (const line of of('COPY').filter((each) => !each.startsWith('--from'))) {
      for (const path of line.split(/\s+/).slice(0, -1)) {
        t.ok(existsSync(join(ROOT, path)), path)
        t.ok(letThrough.has(path), `${path} is not ignored`)
      }
    }
    for (const path of letThrough) t.ok(existsSync(join(ROOT, path)), path)
    for (const secret of ['.hongyan', 'node_modules', '.git']) t.notOk(letThrough.has(secret), `${secret} stays out`)
  })
  t.test('sees all that is compiled', async (t) => {
    const { include } = JSON.parse(fileOf('tsconfig.json'))
    const copied = of('COPY').flatMap((line) => line.split(/\s+/).slice(0, -1))
    for (const glob of include as string[]) t.ok(copied.includes(glob.split('/')[0]!), glob)
  })
  t.test('runs scripts and commands there are, with settings there are', async (t) => {
    for (const [, name] of of('RUN')
      .join(' ')
      .matchAll(/npm run (\S+)/g))
      t.ok(scripts[name!], name)
    t.equal(of('ENTRYPOINT')[0], '["node", "/app/dist/server/main.js"]')
    await isCommand(t, JSON.parse(of('CMD').find((line) => line.startsWith('["serve'))!))
    const env = Object.fromEntries(
      [
        ...of('ENV')
          .join(' ')
          .matchAll(/(\S+)=(\S+)/g)
      ].map(([, name, value]) => [name!, value!])
    )
    for (const name of Object.keys(env)) t.ok(KNOWN.has(name) || name === 'NODE_ENV', name)
    const { NODE_ENV: _, ...ours } = env
    t.match(readConfig(ours), { host: '0.0.0.0', port: 8480, dataDir: '/data' })
  })
  t.test('ends as a user without rights, in two stages, with a health check on the right port', async (t) => {
    t.equal(of('FROM').length, 2)
    t.notMatch(of('FROM')[1]!, /AS build/)
    t.same(of('USER'), ['node'])
    const order = instructions.map(({ word }) => word)
    t.ok(order.indexOf('USER') < order.indexOf('ENTRYPOINT'))
    t.match(of('HEALTHCHECK')[0], /HONGYAN_PORT \+ '\/healthz'/)
    t.match(of('EXPOSE')[0], String(config.port))
    const engine = JSON.parse(fileOf('package.json')).engines.node as string
    t.ok(Number(/node:(\d+)/.exec(of('FROM')[0]!)![1]) >= Number(/\d+/.exec(engine)![0]))
  })
  t.test('carries all that runs: no code of the server reaches beyond server and shared', async (t) => {
    const sources = ['server', 'shared'].flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith('.ts') && !path.startsWith(join('console', 'web')))
        .map((path) => join(folder, path))
    )
    t.ok(sources.length > 300)
    for (const path of sources) {
      const beyond = /from '(?:\.\.\/)+(?:demo|bench|test|miniprogram)\//.exec(fileOf(path))
      if (beyond !== null) t.fail(`${path}: ${beyond[0]}`)
    }
  })
})

t.test('compose.yaml', async (t) => {
  const compose = parse(fileOf('compose.yaml'), { merge: true })
  const services: Record<string, any> = compose.services

  t.test('has a replica set, two api, two worker, and a sandbox apart', async (t) => {
    t.equal(services.api.deploy.replicas, 2)
    t.equal(services.worker.deploy.replicas, 2)
    t.match(services.mongo.command, ['--replSet', 'rs0'])
    t.match(services.api.environment.MONGODB_URI, /replicaSet=rs0/)
    t.same(services.sandbox.profiles, ['sandbox'])
    t.notOk(services.api.profiles)
  })
  t.test('gives our commands settings there are', async (t) => {
    for (const name of ['api', 'worker', 'sandbox']) {
      await isCommand(t, services[name].command)
      const environment: Record<string, string> = services[name].environment
      for (const variable of Object.keys(environment)) t.ok(KNOWN.has(variable), variable)
      const filled = Object.fromEntries(
        Object.entries(environment).map(([key, value]) => [key, value.replace(/\$\{\w+:-([^}]*)\}/, '$1')])
      )
      t.ok(readConfig(filled))
      t.equal(services[name].user, undefined, "the image's own user")
      t.equal(services[name].read_only, true)
      t.ok(parseInt(services[name].stop_grace_period) > FORCED_AFTER_S, 'a stop may take its time')
    }
    t.match(services.api.environment.HONGYAN_METRICS, /:9464$/)
  })
  t.test('names files, networks and volumes there are; the store is not reached from outside', async (t) => {
    for (const [name, service] of Object.entries(services)) {
      for (const volume of service.volumes ?? []) {
        const [from] = volume.split(':')
        t.ok(from.startsWith('.') ? existsSync(join(ROOT, from)) : from in compose.volumes, `${name}: ${volume}`)
      }
      for (const network of service.networks ?? []) t.ok(network in compose.networks, network)
      for (const other of Object.keys(service.depends_on ?? {})) t.ok(services[other], other)
    }
    t.equal(services.mongo.ports, undefined)
    t.equal(services.api.ports, undefined, 'the gateway is the door')
    t.same(services.mongo.networks, ['inside'])
    t.equal(compose.networks.inside.internal, true)
  })
  t.test('its gateway leads to the port the api listens on, streams, and hides the figures', async (t) => {
    const nginx = fileOf('deploy/nginx.conf')
    t.match(nginx, `server api:${config.port}`)
    t.match(nginx, /location = \/v1\/stream[^}]*proxy_buffering off/)
    t.match(nginx, /location = \/metrics \{ return 404/)
    t.match(services.gateway.ports[0], /:8480$/)
    t.equal(nginx.split('{').length, nginx.split('}').length)
  })
})

t.test('the Kubernetes manifests ask the right probes', async (t) => {
  const documents = parseAllDocuments(fileOf('deploy/kubernetes/hongyan.yaml'))
  t.same(
    documents.flatMap(({ errors }) => errors),
    []
  )
  const all = documents.map((each) => each.toJS())
  const deployments = all.filter(({ kind }) => kind === 'Deployment')
  t.equal(deployments.length, 2)
  for (const { metadata, spec } of deployments) {
    t.equal(spec.replicas, 2)
    t.same(spec.selector.matchLabels, spec.template.metadata.labels)
    const { containers, terminationGracePeriodSeconds: grace, securityContext } = spec.template.spec
    t.ok(grace > FORCED_AFTER_S + 5, metadata.name)
    t.equal(securityContext.runAsNonRoot, true)
    const [container] = containers
    await isCommand(t, container.args)
    for (const { name } of container.env) t.ok(KNOWN.has(name), name)
    t.equal(container.readinessProbe.httpGet.path, '/readyz')
    t.equal(container.livenessProbe.httpGet.path, '/healthz')
    // A check may take 2 s before it is a fault.
    t.ok(container.readinessProbe.timeoutSeconds > 2)
    t.equal(container.ports[0].containerPort, config.port)
  }
  const service = all.find(({ kind }) => kind === 'Service')
  t.match(deployments[0].spec.template.metadata.labels, service.spec.selector)
})
