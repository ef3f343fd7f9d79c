import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ElectrumWallet, hasElectrum } from '../support/electrum-wallet.ts'
import { ServerProcess } from '../support/server-process.ts'

const present = await hasElectrum()
if (!present) process.stdout.write('skipped: the Electrum wallet is not installed (apt-get install electrum)\n')

describe.runIf(present).each([
  { transport: 'tcp', letter: 't' },
  { transport: 'ssl', letter: 's' },
] as const)('the Electrum wallet over $transport', ({ transport, letter }) => {
  let directory: string
  let server: ServerProcess
  let wallet: ElectrumWallet
  let spent: string

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-e2e-'))
    server = ServerProcess.start({ DB_DIRECTORY: directory, SERVICES: `${transport}://127.0.0.1:0,rpc://127.0.0.1:0` })
    await server.ready()
    wallet = await ElectrumWallet.start(server.port(transport), letter)
  })

  afterAll(async () => {
    await wallet?.stop()
    await server?.stop()
    await rm(directory, { recursive: true, force: true })
  })

  it('connects and follows the headers', async () => {
    await wallet.until('it is connected and has every header', async () => {
      const { connected, blockchain_height, server_height } = await wallet.info()
      return connected && server_height > 0 && blockchain_height === server_height
    })
  })

  it('sees a payment unconfirmed, then confirmed by a proof that it checked', async () => {
    const txid = await server.admin('regtest', 'send', await wallet.address(), '1.5')
    await wallet.until('the payment is there, unconfirmed', async () => (await wallet.balance()).unconfirmed === '1.5')
    expect(await wallet.history()).toMatchObject([{ txid, height: 0, confirmations: 0 }])

    await server.admin('regtest', 'mine', '1')
    await wallet.until('the payment is confirmed', async () => (await wallet.history())[0]!.confirmations === 1)
    expect(await wallet.balance()).toEqual({ confirmed: '1.5' })
  })

  it('spends, and the change comes back', async () => {
    const foreign = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080'
    spent = await wallet.pay(foreign, '0.4')
    await wallet.until('the spend is listed', async () => (await wallet.history()).some(({ txid }) => txid === spent))
    await server.admin('regtest', 'mine', '1')
    await wallet.until('the spend is confirmed', async () =>
      (await wallet.history()).every(({ confirmations }) => confirmations > 0),
    )
    const { confirmed } = await wallet.balance()
    expect(Number(confirmed)).toBeGreaterThan(1.09)
    expect(Number(confirmed)).toBeLessThan(1.1)
  })

  it('survives a reorganisation that takes the spend back and confirms it elsewhere', async () => {
    const before = (await wallet.info()).blockchain_height
    await server.admin('regtest', 'reorg', '1')
    await wallet.until(
      'it follows the longer branch',
      async () => (await wallet.info()).blockchain_height === before + 2,
    )
    await wallet.until('all is confirmed again', async () =>
      (await wallet.history()).every(({ confirmations }) => confirmations > 0),
    )
    const history = await wallet.history()
    expect(history.map(({ txid }) => txid)).toContain(spent)
    expect(history).toHaveLength(2)
  })

  it('finds everything again after the server was restarted', async () => {
    const before = await wallet.history()
    const port = server.port(transport)
    expect(await server.stop()).toBe(0)
    server = ServerProcess.start({
      DB_DIRECTORY: directory,
      SERVICES: `${transport}://127.0.0.1:${port},rpc://127.0.0.1:0`,
    })
    await server.ready()
    await server.admin('regtest', 'send', await wallet.address(), '0.25')
    await wallet.until('it is connected again and hears of a new payment', async () => {
      return (await wallet.balance()).unconfirmed === '0.25'
    })
    const after = await wallet.history()
    expect(after).toHaveLength(before.length + 1)
    expect(after.slice(0, before.length).map(({ txid, height }) => [txid, height])).toEqual(
      before.map(({ txid, height }) => [txid, height]),
    )
  })
})
