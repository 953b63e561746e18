import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** Networks that are not the public Internet: this machine, private ones, links, documentation, multicast, reserved. */
const IPV4: readonly (readonly [address: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]

/** In IPv6 also the forms that carry an IPv4 address, which would lead back to the ones above. */
const IPV6: readonly (readonly [address: string, prefix: number])[] = [
  ['::', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
]

const PRIVATE = new BlockList()
for (const [address, prefix] of IPV4) {
  PRIVATE.addSubnet(address, prefix, 'ipv4')
  PRIVATE.addSubnet(`::ffff:${address}`, 96 + prefix, 'ipv6')
}
for (const [address, prefix] of IPV6) PRIVATE.addSubnet(address, prefix, 'ipv6')

/** Is this IP address outside the public Internet? What is no IP address counts as such. */
export function isPrivateAddress(address: string): boolean {
  const bare = address.split('%', 1)[0] ?? ''
  if (isIPv4(bare)) return PRIVATE.check(bare, 'ipv4')
  return !isIPv6(bare) || PRIVATE.check(bare, 'ipv6')
}
