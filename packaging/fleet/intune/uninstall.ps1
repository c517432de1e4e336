# Removes roomcall. Keeps config, secrets and store; -Everything removes them too.
param([switch]$Everything)
$product = Get-ItemProperty 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\*' |
    Where-Object { $_.DisplayName -eq 'roomcall' } | Select-Object -First 1
if (-not $product) { exit 0 }
$keep = if ($Everything) { 'KEEPDATA=0' } else { 'KEEPDATA=1' }
$p = Start-Process msiexec.exe -ArgumentList '/x', $product.PSChildName, '/qn', '/norestart', $keep -Wait -PassThru
exit $p.ExitCode
