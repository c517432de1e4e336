# Intune, Win32 app: pack this folder with the MSI, the folder "rendered" (made by
# `roomcall config render`) and the folder "secrets" as .intunewin.
#
#   install    powershell -ExecutionPolicy Bypass -File install.ps1
#   uninstall  powershell -ExecutionPolicy Bypass -File uninstall.ps1
#   detection  script: detect.ps1
#
# The machines' names, in lower case, are the client ids of the CSV.
$ErrorActionPreference = 'Stop'
$name = $env:COMPUTERNAME.ToLower()
$config = Join-Path $PSScriptRoot "rendered\$name\agent.toml"
if (-not (Test-Path $config)) { Write-Error "no config for $name in the package"; exit 1 }

# The secrets come first: the service starts at the end of the MSI's install.
$folder = Join-Path $env:ProgramData 'roomcall'
New-Item -ItemType Directory -Force "$folder\secrets" | Out-Null
icacls $folder /inheritance:r /grant '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' | Out-Null
if ($LASTEXITCODE -ne 0) { Write-Error "the rights of $folder cannot be set; no secret was copied"; exit 1 }
Copy-Item "$PSScriptRoot\secrets\*" "$folder\secrets" -Force

$msi = Get-ChildItem $PSScriptRoot -Filter 'roomcall-*-windows-amd64.msi' | Select-Object -First 1
$arguments = '/i', "`"$($msi.FullName)`"", '/qn', '/norestart', '/l*v', "`"$env:windir\Temp\roomcall-msi.log`"", "CONFIGFILE=`"$config`""
$p = Start-Process msiexec.exe -ArgumentList $arguments -Wait -PassThru
if ($p.ExitCode -ne 0) { Get-Content "$folder\setup.log" -Tail 20 -ErrorAction SilentlyContinue }
exit $p.ExitCode
