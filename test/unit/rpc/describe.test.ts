import { describe, expect, it } from 'vitest'
import { describeAsJson, describeMethods, everyMethod } from '../../../src/rpc/describe.ts'
import { paramNames } from '../../../src/rpc/registry.ts'

const methods = everyMethod()

describe('describeMethods', () => {
  const text = describeMethods()

  it('names every row once in the table and once as a heading, with its parameters', () => {
    for (const name of new Set(methods.map((method) => method.name))) {
      const count = methods.filter((method) => method.name === name).length
      expect(text.split(`| \`${name}\` |`), name).toHaveLength(count + 1)
      expect(text.split(`\n## ${name}(`), name).toHaveLength(count + 1)
    }
    for (const method of methods) {
      for (const name of paramNames(method).names) expect(text).toContain(`- \`${name}\``)
      expect(text).toContain(JSON.stringify({ method: method.name, params: method.example.params }))
      expect(text).toContain(method.summary.replaceAll('|', '\\|'))
    }
  })

  it('says of every parameter what it is', () => {
    const lines = text.split('\n').filter((line) => line.startsWith('- `'))
    expect(lines.length).toBeGreaterThan(20)
    expect(lines.filter((line) => line.endsWith('`any`'))).toEqual([])
  })

  it('shows versions, optional parameters and shapes of results', () => {
    expect(text).toContain('## blockchain.block.headers(start_height, count, cp_height?)')
    expect(text).toContain('1.2 to 1.5')
    expect(text).toContain('- result: `{confirmed: integer, unconfirmed: integer}`')
    expect(text).toContain('Further arguments are ignored.')
    expect(text).toContain('May come as a notification.')
  })
})

describe('describeAsJson', () => {
  it('has every row, and survives JSON', () => {
    const description = describeAsJson()
    const rows = description.methods.flatMap((method) => [method, ...(method['x-earlier'] ?? [])])
    expect(rows).toHaveLength(methods.length)
    expect(new Set(description.methods.map(({ name }) => name)).size).toBe(description.methods.length)
    expect(JSON.parse(JSON.stringify(description))).toEqual(description)
    expect(description.methods.find(({ name }) => name === 'blockchain.transaction.get')?.params).toEqual([
      expect.objectContaining({
        name: 'tx_hash',
        required: true,
        schema: expect.objectContaining({ type: 'string' }) as unknown,
      }),
      expect.objectContaining({ name: 'verbose', required: false }),
    ])
    expect(rows.find((method) => method['x-until'] === '1.5')?.name).toBe('blockchain.block.headers')
  })
})
