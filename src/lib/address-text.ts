/** `192.0.2.7:50001`, `[2001:db8::1]:50001`, `name.example:50001` */
export function addressText({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
