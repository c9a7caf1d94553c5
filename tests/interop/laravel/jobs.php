<?php

use Illuminate\Bus\Queueable;
use Illuminate\Console\Command;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use Illuminate\Queue\InteractsWithQueue;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Queue;
use Illuminate\Support\Facades\Redis;
use Illuminate\Support\Facades\Schema;

/** Writes its name down each time it runs. */
class Note implements ShouldQueue
{
    use Dispatchable, InteractsWithQueue, Queueable;

    public $tries = 2;

    public function __construct(public string $name, protected array $more = ['ü' => 1.5, 'none' => null])
    {
    }

    public function handle()
    {
        Redis::rpush('ran', $this->name);
    }
}

/** Fails as long as the key `broken` exists. */
class Fragile extends Note
{
    public $tries = 1;

    public function handle()
    {
        if (Redis::exists('broken')) {
            throw new RuntimeException("cannot send {$this->name}: the mailbox is «full»");
        }
        parent::handle();
    }
}

/** Takes its time, so that several workers have to do. */
class Slow extends Note
{
    public function handle()
    {
        usleep(20000);
        parent::handle();
    }
}

/** Writes down how often it was started, too. */
class Counted extends Note
{
    public $tries = 3;

    public $backoff = 1;

    public function handle()
    {
        Redis::rpush('ran', "{$this->name}:{$this->attempts()}");
    }
}

/** A handler that is called by its name. */
class Shop
{
    public function report($job, $data)
    {
        Redis::rpush('ran', $data['name']);
        $job->delete();
    }
}

/** Does nothing, for the measuring of all else. */
class Nothing
{
    public function run($job, $data)
    {
        $job->delete();
    }
}

/** Makes the table of failed jobs and fills the queues. */
class FillCommand extends Command
{
    protected $signature = 'qtop:fill {--table} {--pending=0} {--delayed=0} {--fragile=0} {--deadly=0} {--slow=0} {--soon=0} {--counted=0} {--reports=0} {--queue=default}';

    public function handle()
    {
        if ($this->option('table') && !Schema::hasTable('failed_jobs')) {
            Schema::create('failed_jobs', function ($table) {
                $table->id();
                if (config('queue.failed.driver') !== 'database') {
                    $table->string('uuid')->unique();
                }
                $table->text('connection');
                $table->text('queue');
                $table->longText('payload');
                $table->longText('exception');
                $table->timestamp('failed_at')->useCurrent();
            });
        }
        $queue = $this->option('queue');
        for ($n = 1; $n <= $this->option('pending'); $n++) {
            Queue::pushOn($queue, new Note("note-$n"));
        }
        for ($n = 1; $n <= $this->option('delayed'); $n++) {
            Queue::laterOn($queue, 3600, new Note("later-$n"));
        }
        for ($n = 1; $n <= $this->option('fragile'); $n++) {
            Queue::pushOn($queue, new Fragile("fragile-$n"));
        }
        for ($n = 1; $n <= $this->option('slow'); $n++) {
            Queue::pushOn($queue, new Slow("slow-$n"));
        }
        for ($n = 1; $n <= $this->option('soon'); $n++) {
            Queue::laterOn($queue, 1, new Slow("soon-$n"));
        }
        for ($n = 1; $n <= $this->option('counted'); $n++) {
            Queue::pushOn($queue, new Counted("counted-$n"));
        }
        for ($n = 1; $n <= $this->option('reports'); $n++) {
            Queue::pushOn($queue, 'Shop@report', ['name' => "report-$n"]);
        }
        for ($n = 1; $n <= $this->option('deadly'); $n++) {
            Queue::pushOn($queue, new Deadly("deadly-$n"));
        }
    }
}

/** Writes a row of a failed job, as the application does when one fails. */
class FailedCommand extends Command
{
    protected $signature = 'qtop:failed {row}';

    public function handle()
    {
        $row = json_decode($this->argument('row'), true);
        app('queue.failer')->log('redis', $row['queue'], $row['payload'], new RuntimeException('it did not work'));
    }
}

/** Says what Laravel itself sees. */
class CountCommand extends Command
{
    protected $signature = 'qtop:count {--queue=default}';

    public function handle()
    {
        $queue = $this->option('queue');
        $this->line(json_encode([
            'size' => Queue::size($queue),
            'pending' => Redis::llen("queues:$queue"),
            'delayed' => Redis::zcard("queues:$queue:delayed"),
            'reserved' => Redis::zcard("queues:$queue:reserved"),
            'failed' => Schema::hasTable('failed_jobs') ? DB::table('failed_jobs')->count() : null,
            'ran' => Redis::lrange('ran', 0, -1),
        ]));
    }
}

/** Dies with its worker the first time it runs. */
class Deadly extends Note
{
    public function handle()
    {
        if (Redis::setnx('died', 1)) {
            posix_kill(getmypid(), SIGKILL);
        }
        parent::handle();
    }
}
