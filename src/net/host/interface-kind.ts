import { existsSync, readFileSync } from 'node:fs';

/**
 * Whether a network may be behind an interface: it is hardware, or built upon some (a bond, a bridge, a VLAN, a tunnel). False of dummies and
 * veths, which the kernel gives no kind in `uevent`, and where sysfs does not know the interface. `sys`: where /sys is.
 */
export function leadsToNetwork(iface: string, sys = '/sys'): boolean {
  const folder = `${sys}/class/net/${iface}`;
  if (existsSync(`${folder}/device`)) return true;
  try {
    return /^DEVTYPE=/m.test(readFileSync(`${folder}/uevent`, 'utf8'));
  } catch {
    return false;
  }
}
