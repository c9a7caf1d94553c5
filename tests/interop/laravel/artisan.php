<?php

// A whole application in one file, made of the Laravel that is installed: its commands run as `php artisan.php COMMAND`.
// Where it writes and what it connects to comes from the environment: APP_ROOT, REDIS_PORT, DB_CONNECTION, DB_DATABASE …

$autoload = getenv('LARAVEL_AUTOLOAD') ?: '/usr/share/php/Illuminate/autoload.php';
require $autoload;
require __DIR__ . '/jobs.php';

error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);

$root = getenv('APP_ROOT') ?: sys_get_temp_dir();
foreach (['storage/framework/cache', 'storage/logs', 'bootstrap/cache', 'resources/views'] as $folder) {
    @mkdir("$root/$folder", 0777, true);
}

$app = new Illuminate\Foundation\Application($root);
$app->useStoragePath("$root/storage");
$app->singleton(Illuminate\Contracts\Console\Kernel::class, QtopKernel::class);
$app->singleton(Illuminate\Contracts\Debug\ExceptionHandler::class, Illuminate\Foundation\Exceptions\Handler::class);

class QtopKernel extends Illuminate\Foundation\Console\Kernel
{
    // Debian's framework comes without the reader of `.env` files; the environment is the process's own.
    protected $bootstrappers = [
        QtopConfiguration::class,
        QtopErrors::class,
        Illuminate\Foundation\Bootstrap\RegisterFacades::class,
        Illuminate\Foundation\Bootstrap\RegisterProviders::class,
        Illuminate\Foundation\Bootstrap\BootProviders::class,
    ];

    protected function commands()
    {
        foreach ([FillCommand::class, FailedCommand::class, CountCommand::class] as $command) {
            Illuminate\Console\Application::starting(fn ($artisan) => $artisan->resolve($command));
        }
    }
}

class QtopConfiguration
{
    public function bootstrap($app)
    {
        $app->instance('config', new Illuminate\Config\Repository(require __DIR__ . '/config.php'));
        $app->detectEnvironment(fn () => 'testing');
        date_default_timezone_set('UTC');
    }
}

class QtopErrors
{
    public function bootstrap($app)
    {
        error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);
    }
}

$kernel = $app->make(Illuminate\Contracts\Console\Kernel::class);
$status = $kernel->handle(
    $input = new Symfony\Component\Console\Input\ArgvInput,
    new Symfony\Component\Console\Output\ConsoleOutput
);
$kernel->terminate($input, $status);
exit($status);
