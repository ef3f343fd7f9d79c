import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { ATOMICALS_SPACES } from '../../src/atomicals/layout.ts'
import type { Setting } from '../../src/config/setting.ts'
import { FOREIGN_SETTINGS, SETTINGS } from '../../src/config/table.ts'
import { describeSchema, KEY_SPACES } from '../../src/db/layout.ts'
import { ERROR_CODES } from '../../src/errors.ts'
import type { MetricLabel } from '../../src/metrics.ts'
import { describeAsJson, describeMethods } from '../../src/rpc/describe.ts'
import { ERROR_COST, PARSE_ERROR_COST } from '../../src/rpc/failure.ts'
import { METRICS } from '../../src/server-metrics/table.ts'
import { REFUSALS } from '../../src/session/admission.ts'
import { CLOSE_REASONS } from '../../src/session/transports/connection.ts'
import { LIMITS, valueOf } from './limits.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const GENERATED = 'Generated from the source by `npm run docs`; a test fails when it is stale.'

export interface Document {
  readonly path: string
  readonly text: string
}

/** Every document that is printed from a table in the source, as it ought to be. */
export function documents(): readonly Document[] {
  return [
    { path: 'docs/CONFIG.md', text: configPage() },
    { path: 'docs/ERRORS.md', text: errorsPage() },
    { path: 'docs/LIMITS.md', text: limitsPage() },
    { path: 'docs/METRICS.md', text: metricsPage() },
    { path: 'docs/SCHEMA.md', text: page('Schema of the index', describeSchema([...KEY_SPACES, ...ATOMICALS_SPACES])) },
    { path: 'docs/PROTOCOL.md', text: page('Protocol', describeMethods()) },
    { path: 'docs/openrpc.json', text: `${JSON.stringify(describeAsJson(), null, 1)}\n` },
    { path: 'config/electrumx.env.example', text: environmentExample() },
    { path: 'README.md', text: readme() },
    { path: 'CONTRIBUTING.md', text: contributing() },
  ].map(({ path, text }) => ({ path: resolve(ROOT, path), text }))
}

function page(title: string, body: string): string {
  return `# ${title}\n\n${GENERATED}\n\n${body.trim()}\n`
}

const entries: readonly Setting[] = Object.values(SETTINGS)

function configPage(): string {
  const rows = entries.map(
    (entry) =>
      `| \`${entry.env}\` | ${cell(defaultOf(entry))} | ${cell(entry.allowed)}${entry.unit === undefined ? '' : ` (${entry.unit})`} | ` +
      `${cell(entry.sentence)}${entry.notYet === undefined ? '' : ` *No effect yet: ${cell(entry.notYet)}.*`} |`,
  )
  const foreign = Object.entries(FOREIGN_SETTINGS).map(([env, reason]) => `| \`${env}\` | ${cell(reason)} |`)
  return page(
    'Settings',
    [
      'All settings come from the environment. An empty value counts as unset. Wrong ones are all named at once, with',
      'what would be allowed, and the server ends with exit code 2.',
      '',
      '| setting | default | allowed | what it does |',
      '| --- | --- | --- | --- |',
      ...rows,
      '',
      '## Settings of ElectrumX without effect',
      '',
      'They do no harm in an environment file that is carried over; the server says at start that it passes over them.',
      '',
      '| setting | why |',
      '| --- | --- |',
      ...foreign,
    ].join('\n'),
  )
}

function errorsPage(): string {
  const rows = Object.values(ERROR_CODES).map(
    ({ code, name, meaning, reaction }) => `| ${code} | ${name} | ${cell(meaning)} | ${cell(reaction)} |`,
  )
  return page(
    'Error codes',
    [
      `What a client can see. Codes are stable; messages are for people. Each error costs ${ERROR_COST} on top of what was asked, a`,
      `message that is no JSON ${PARSE_ERROR_COST}: a client that is refused again and again gets slower ([LIMITS.md](LIMITS.md)).`,
      '',
      '| code | name | meaning | reaction |',
      '| --- | --- | --- | --- |',
      ...rows,
    ].join('\n'),
  )
}

function limitsPage(): string {
  const rows = LIMITS.map((row) => {
    const { setting, standard } = valueOf(row)
    const [file, title] = row.test
    const metrics = row.metrics.map((metric) => `\`${cell(metric)}\``).join(', ')
    const cells = [
      row.limit,
      setting,
      cell(standard),
      cell(row.reaction),
      row.counter,
      metrics === '' ? 'none' : metrics,
    ]
    cells.push(cell(`${title} … (${file})`))
    return `| ${cells.join(' | ')} |`
  })
  return page(
    'Limits',
    [
      'What a client may use, and a server that we dial, what happens at each limit, where it is counted (`getinfo`, `sessions` and `groups` of the',
      'admin port; [metrics](METRICS.md)), and the test that reaches it.',
      '',
      'A session ends with one of these reasons, in the log and in `getinfo`:',
      `${CLOSE_REASONS.join(', ')}.`,
      'Ends for abuse (excessive usage, client refused, protocol breach) and by the operator have a line with',
      '`"audit":true` in the log that says who (session, kind, remote, group), what and why (reason, cost, errors). So has',
      'whatever an administrator changes, before it is done and after: who (from), what (method, params) and why (the',
      'reason that `disconnect` and `stop` take), and what came of it; `act` is the same in both. With ANON_LOGS they name',
      'no address. A newcomer that is cut before it is a session is counted by one of these:',
      `${REFUSALS.join(', ')}.`,
      '',
      '| limit | setting | default | at the limit | counted in | metrics | test |',
      '| --- | --- | --- | --- | --- | --- | --- |',
      ...rows,
    ].join('\n'),
  )
}

function metricsPage(): string {
  const rows = METRICS.map(
    ({ name, kind, labels = [], sentence }) =>
      `| \`${name}\` | ${kind} | ${labels.map(labelText).join('; ')} | ${cell(sentence)} |`,
  )
  return page(
    'Metrics',
    [
      'Numbers of the running server in the text format of Prometheus, by two ways:',
      '',
      '- `GET /metrics` over HTTP at each service `metrics://` in SERVICES, for example',
      '  `SERVICES=tcp://:50001,rpc://,metrics://` for port 9332 on loopback. Without such a service nothing listens. It is',
      '  apart from what clients reach and asks for no password: numbers of the whole server, nothing of single clients.',
      "- The administrator's method `metrics` (`npm run --silent rpc metrics`).",
      '',
      'Counters begin at 0 when the server starts. Everything is counted by plain integers where it happens and read only',
      'when somebody asks. A metric without a value is not known yet. Hit rate of a cache:',
      '`rate(valence_cache_hits_total[5m]) / (rate(valence_cache_hits_total[5m]) + rate(valence_cache_misses_total[5m]))`.',
      '',
      '| metric | kind | labels | what it says |',
      '| --- | --- | --- | --- |',
      ...rows,
    ].join('\n'),
  )
}

function labelText({ name, values }: MetricLabel): string {
  return cell(`\`${name}\`: ${typeof values === 'string' ? values : values.join(', ')}`)
}

function environmentExample(): string {
  const blocks = entries.map((entry) => {
    const lines = [
      ...wrap(`# ${entry.sentence}`),
      ...wrap(`# Allowed: ${entry.allowed}. Default: ${defaultOf(entry)}.`),
    ]
    return [...lines, `#${entry.env}=${entry.fallback ?? ''}`].join('\n')
  })
  return `# Every setting, commented out. ${GENERATED}\n\n${blocks.join('\n\n')}\n`
}

function readme(): string {
  const text = readFileSync(resolve(ROOT, 'README.md'), 'utf8')
  const rows = entries
    .filter((entry) => entry.notYet === undefined)
    .map((entry) => `| \`${entry.env}\` | ${cell(defaultOf(entry))} | ${cell(entry.sentence)} |`)
  const table = ['| setting | default | what it does |', '| --- | --- | --- |', ...rows].join('\n')
  return text.replace(
    /(<!-- settings -->\n)[\s\S]*?(<!-- end of settings -->)/,
    (_all, before: string, after: string) => `${before}\n${table}\n\n${after}`,
  )
}

/** The examples as they stand in their files; what they import is seen there. */
function contributing(): string {
  return readFileSync(resolve(ROOT, 'CONTRIBUTING.md'), 'utf8').replace(
    /(<!-- example: (\w+) -->\n)[\s\S]*?(<!-- end of example -->)/g,
    (_all, before: string, name: string, after: string) => {
      const code = readFileSync(resolve(ROOT, `test/support/examples/${name}.ts`), 'utf8')
      const shown = code.replaceAll("'../../../src/", "'…/src/").trim()
      return `${before}\n\`\`\`ts\n${shown}\n\`\`\`\n\n${after}`
    },
  )
}

function defaultOf(entry: Setting): string {
  if (entry.fallbackNote !== undefined) return entry.fallbackNote
  return entry.fallback === undefined || entry.fallback === '' ? 'unset' : entry.fallback
}

/** A text that cannot end its table cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function wrap(text: string, width = 118): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = '#'
    }
    line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
