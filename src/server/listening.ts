import type { Settings } from '../config/settings.ts'
import { SECURE_KINDS } from '../config/values.ts'
import { storageErrorOf } from '../db/disk.ts'
import { ConfigError, messageOf, StorageError } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../log.ts'
import { OUTBOUND_LIMITS } from '../server-peers.ts'
import { CERTIFICATE_INTERVAL, CertificateFiles } from '../session/certificate-files.ts'
import type { ListenTarget } from '../session/listeners.ts'
import { DEFAULT_MANAGER, type ManagerOptions } from '../session/manager.ts'
import { OPEN_FILES_RESERVED, openFilesLimit, sessionsWithin } from '../session/open-files.ts'
import { readCertificate, requireUsable, selfSignedCertificate } from '../session/transports/certificate.ts'
import type { TlsMaterial } from '../session/transports/listener.ts'
import { TrustedProxies } from '../session/transports/proxies.ts'
import { connectionLimits, SECOND } from './options.ts'

/** Where sessions come in, how many, and what holds for all of them. Reads the certificate, or makes one. */
export async function managerOptions(settings: Settings, log: Logger): Promise<ManagerOptions> {
  const maxSessions = sessionsWithin(settings.maxSessions, openFilesLimit())
  if (maxSessions < settings.maxSessions) {
    log.warn(
      { wanted: settings.maxSessions, maxSessions },
      `MAX_SESSIONS lowered: the limit of open files leaves no more, with ${OPEN_FILES_RESERVED} kept for everything else`,
    )
  }
  return {
    ...DEFAULT_MANAGER,
    outbound: OUTBOUND_LIMITS,
    listeners: await listenTargets(settings),
    maxSessions,
    maxHandshaking: settings.maxHandshaking ?? maxSessions,
    maxHandshakingPerHost: settings.maxHandshakingPerHost,
    sessionTimeout: settings.sessionTimeout * SECOND,
    logInterval: settings.logSessions * SECOND,
    proxies: new TrustedProxies(settings.trustedProxies),
    groups: {
      ipv4Bits: settings.groupBitsIpv4,
      ipv6Bits: settings.groupBitsIpv6,
      exempt: settings.limitExemptSubnets,
      maxSessions: settings.maxSessionsPerGroup,
      timeSlot: settings.groupByTime,
    },
    connection: connectionLimits(settings),
  }
}

/**
 * The operator's own certificate, read again when its files change and at SIGHUP; undefined where none is used.
 * `listeners`: those that were made with it.
 */
export function certificateFiles(
  { sslCertFile: certFile, sslKeyFile: keyFile }: Settings,
  { listeners }: Pick<ManagerOptions, 'listeners'>,
  collaborators: { readonly clock: Clock; readonly log: Logger; readonly use: (material: TlsMaterial) => void },
): CertificateFiles | undefined {
  const inUse = listeners.find(({ tls }) => tls !== undefined)?.tls
  if (certFile === undefined || keyFile === undefined || inUse === undefined) return undefined
  return new CertificateFiles({ certFile, keyFile, interval: CERTIFICATE_INTERVAL }, { ...collaborators, inUse })
}

function listensSecurely({ services }: Settings): boolean {
  return services.some(({ kind }) => SECURE_KINDS.has(kind))
}

async function listenTargets(settings: Settings): Promise<readonly ListenTarget[]> {
  const tls = listensSecurely(settings) ? await certificate(settings) : undefined
  return settings.services.flatMap(({ kind, host, port }): ListenTarget[] => {
    if (kind === 'rpc' || kind === 'metrics') return []
    return [tls !== undefined && SECURE_KINDS.has(kind) ? { kind, host, port, tls } : { kind, host, port }]
  })
}

/** Throws ConfigError, or StorageError for what is kept in DB_DIRECTORY, if the pair cannot be used. */
async function certificate({ sslCertFile, sslKeyFile, dbDirectory, reportServices }: Settings): Promise<TlsMaterial> {
  if (sslCertFile !== undefined && sslKeyFile !== undefined) {
    try {
      return usable(await readCertificate(sslCertFile, sslKeyFile))
    } catch (error) {
      throw new ConfigError([`SSL_CERTFILE and SSL_KEYFILE cannot be used: ${messageOf(error)}`])
    }
  }
  const hosts = new Set(reportServices.map(({ host }) => host).filter((host) => host !== ''))
  const own = `the self-signed certificate in ${dbDirectory} (selfsigned.crt, selfsigned.key)`
  const material = await selfSignedCertificate(dbDirectory, [...hosts]).catch((error: unknown) => {
    throw storageErrorOf(error, own)
  })
  try {
    return usable(material)
  } catch (error) {
    const remedy = 'restore both files, or remove both: wallets that know the old certificate refuse a new one'
    throw new StorageError('io', `${own} is damaged (${messageOf(error)}): ${remedy}`, { cause: error })
  }
}

function usable(material: TlsMaterial): TlsMaterial {
  requireUsable(material)
  return material
}
