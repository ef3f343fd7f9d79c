import { idTextOfCompact } from '../id-text.ts'
import { isContainerName, isItemName, isRealmName, isSubrealmName } from '../names.ts'
import { isTruthy, type MaybeValue, textOf } from '../python.ts'
import type { IdText } from '../transfer/holding.ts'
import type { CommonRequest } from './request.ts'

/** A name that an NFT asks for. */
export type NameRequest =
  | { readonly kind: 'realm' | 'container'; readonly name: string }
  | { readonly kind: 'subrealm'; readonly name: string; readonly parent: IdText; readonly claim: 'direct' | 'rule' }
  | { readonly kind: 'dmitem'; readonly name: string; readonly parent: IdText }

export interface NftRequest {
  readonly kind: 'nft'
  readonly common: CommonRequest
  readonly immutable: boolean
  readonly name: NameRequest | undefined
}

const NAME_KEYS = ['request_realm', 'request_subrealm', 'request_container', 'request_dmitem'] as const

/** What an `nft` asks for, or undefined if it is none. */
export function nftRequest(common: CommonRequest): NftRequest | undefined {
  const { args, immutable } = common
  if (NAME_KEYS.some((key) => args.get(key) === '')) return undefined
  const key = NAME_KEYS.find((candidate) => isTruthy(args.get(candidate)))
  if (key === undefined) return { kind: 'nft', common, immutable, name: undefined }
  const name = nameRequest(key, common)
  if (name === undefined || (immutable && name.kind !== 'dmitem')) return undefined
  return { kind: 'nft', common, immutable, name }
}

function nameRequest(key: (typeof NAME_KEYS)[number], { args }: CommonRequest): NameRequest | undefined {
  const name = textOf(args.get(key))
  if (name === undefined) return undefined
  switch (key) {
    case 'request_realm':
      return isRealmName(name) ? { kind: 'realm', name } : undefined
    case 'request_container':
      return isContainerName(name) ? { kind: 'container', name } : undefined
    case 'request_subrealm': {
      const claim = claimOf(args.get('claim_type'))
      const parent = idTextOfCompact(textOf(args.get('parent_realm')))
      if (!isSubrealmName(name) || claim === undefined || parent === undefined) return undefined
      return { kind: 'subrealm', name, parent, claim }
    }
    default: {
      const parent = idTextOfCompact(textOf(args.get('parent_container')))
      return isItemName(name) && parent !== undefined ? { kind: 'dmitem', name, parent } : undefined
    }
  }
}

function claimOf(value: MaybeValue): 'direct' | 'rule' | undefined {
  return value === 'direct' || value === 'rule' ? value : undefined
}
