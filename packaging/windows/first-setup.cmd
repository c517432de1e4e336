@echo off
rem First set-up of roomcall: asks for administrator rights, then for endpoint and broker.
fsutil dirty query %SystemDrive% >nul 2>&1
if errorlevel 1 (
  powershell -NoProfile -Command "Start-Process -Verb RunAs -FilePath '%~f0'"
  exit /b
)
cd /d "%~dp0"
roomcall.exe init --install --start
echo.
pause
