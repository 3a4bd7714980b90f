namespace Fossil.Benchmarks;

/// <summary>What is disposed together, the last first.</summary>
internal sealed class Disposables : IDisposable
{
    private readonly Stack<IDisposable> all = new();

    public T Add<T>(T disposable) where T : IDisposable
    {
        all.Push(disposable);
        return disposable;
    }

    public void Dispose()
    {
        while (all.TryPop(out var disposable)) disposable.Dispose();
    }
}
