/** The package has types, but its `exports` hide them. Only what the tests use. */
declare module 'electrum-cash' {
  export class ElectrumClient {
    constructor(application: string, version: string, host: string, port: number, scheme: 'tcp' | 'tcp_tls' | 'ws')
    connect(): Promise<void>
    disconnect(force?: boolean): Promise<boolean>
    request(method: string, ...params: (string | number)[]): Promise<unknown>
    on(event: 'notification', listener: (notice: { readonly method: string; readonly params: unknown }) => void): void
  }
}
